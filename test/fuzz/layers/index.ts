import type { Layer } from '../layer.ts';
import { adminRequests } from './admin.ts';
import { FILES } from './files.ts';
import { MESSAGES } from './messages.ts';
import { TEXTS } from './texts.ts';
import { WIRE } from './wire.ts';

export const LAYERS: readonly Layer[] = [...WIRE, ...MESSAGES, adminRequests, ...TEXTS, ...FILES];
