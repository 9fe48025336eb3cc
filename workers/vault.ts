/** Entry point of the vault's thread. */
import { parentPort } from 'node:worker_threads';
import { Link } from '../src/actor/link.ts';
import { collectAtRest } from '../src/host/rest.ts';
import type { MainToVault, VaultToMain } from '../src/keystore/protocol.ts';
import { Vault } from '../src/keystore/vault.ts';

collectAtRest();
new Link<VaultToMain, MainToVault>(parentPort!, new Vault().handlers);
