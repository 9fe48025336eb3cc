import type { Layer } from '../layer.ts';
import { adminRequests } from './admin.ts';
import { MESSAGES } from './messages.ts';
import { TEXTS } from './texts.ts';
import { WIRE } from './wire.ts';

/** All layers that read what they are handed; those that read files are in ../files.test.ts. */
export const LAYERS: readonly Layer[] = [...WIRE, ...MESSAGES, adminRequests, ...TEXTS];
