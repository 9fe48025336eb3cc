import { type Koffi, loadKoffi, undescribed } from '../host/koffi.ts';

/** Bytes of a public key, x-only or not, as the library keeps it. */
export const PARSED = 64;

type Call = (...args: (Uint8Array | number | null)[]) => number;

/**
 * The functions of libsecp256k1 that are used. Byte arrays are passed as pointers to their own memory: each must lie
 * outside of V8's heap (`newSecret`, or a view on an ArrayBuffer), or asking for its address would make a copy.
 */
export interface NativeLibrary {
  /** As it was loaded. */
  file: string;
  contextSize: Call;
  contextCreate: (memory: Uint8Array, flags: number) => unknown;
  contextRandomize: Call;
  keypairCreate: Call;
  keypairXonly: Call;
  xonlyParse: Call;
  xonlySerialize: Call;
  sign32: Call;
  verify: Call;
  pubkeyParse: Call;
  pubkeyTweakMul: Call;
  pubkeyCombine: (context: Uint8Array, sum: Uint8Array, points: readonly Uint8Array[], count: number) => number;
  seckeyNegate: Call;
  seckeyTweakAdd: Call;
  xonlyFromPubkey: Call;
}

/**
 * Versions of the library's interface, those that systems ship first: looking for one that is not there takes 0.3 ms, in
 * every key's thread. `.so.0` of before 2022 has other signatures, and no `sign32`.
 */
const VERSIONS = [1, 2, 6, 9, 8, 7, 5, 4, 3, 0];
/** Homebrew's folder is on no search path on Apple silicon. */
const FOLDERS = ['', '/opt/homebrew/lib/', '/usr/local/lib/'];

function fileNames(): string[] {
  if (process.platform !== 'darwin') return [...VERSIONS.map((v) => `libsecp256k1.so.${v}`), 'libsecp256k1.so'];
  const names = ['libsecp256k1.dylib', ...VERSIONS.map((version) => `libsecp256k1.${version}.dylib`)];
  return FOLDERS.flatMap((folder) => names.map((name) => folder + name));
}

/**
 * Loads the system's libsecp256k1 through koffi.
 *
 * @throws Error in one line: koffi or the library is missing, or the library lacks a module
 */
export function loadLibrary(files = fileNames()): NativeLibrary {
  const koffi = usableKoffi();
  let lacks: string | undefined;
  for (const file of files) {
    let library: import('koffi').IKoffiLib;
    try {
      library = koffi.load(file);
    } catch {
      continue;
    }
    try {
      return functionsOf(library, file);
    } catch (error) {
      lacks ??= `${file} lacks a module: ${(error as Error).message.split('\n', 1)[0]}`;
    }
  }
  throw new Error(lacks ?? 'libsecp256k1 is not installed (docs/INSTALL.md)');
}

function usableKoffi(): Koffi {
  try {
    return loadKoffi();
  } catch (error) {
    const { code = 'it does not load' } = error as NodeJS.ErrnoException;
    throw new Error(`the package koffi is not usable here: ${code}`);
  }
}

function functionsOf(library: import('koffi').IKoffiLib, file: string): NativeLibrary {
  const found = <F = Call>(name: string, result: string, types: string[]) =>
    undescribed(library.func(`secp256k1_${name}`, result, types), 'info') as unknown as F;
  const typed = (name: string, types: string[]) => found(name, 'int', types);
  const call = (name: string, pointers: number) => typed(name, Array(pointers).fill('void *'));
  return {
    file,
    contextSize: found('context_preallocated_size', 'size_t', ['uint']),
    contextCreate: found('context_preallocated_create', 'void *', ['void *', 'uint']),
    contextRandomize: call('context_randomize', 2),
    keypairCreate: call('keypair_create', 3),
    keypairXonly: call('keypair_xonly_pub', 4),
    xonlyParse: call('xonly_pubkey_parse', 3),
    xonlySerialize: call('xonly_pubkey_serialize', 3),
    sign32: call('schnorrsig_sign32', 5),
    // Libraries with `sign32` take the message's length here.
    verify: typed('schnorrsig_verify', ['void *', 'void *', 'void *', 'size_t', 'void *']),
    pubkeyParse: typed('ec_pubkey_parse', ['void *', 'void *', 'void *', 'size_t']),
    pubkeyTweakMul: call('ec_pubkey_tweak_mul', 3),
    pubkeyCombine: found('ec_pubkey_combine', 'int', ['void *', 'void *', 'void **', 'size_t']),
    seckeyNegate: call('ec_seckey_negate', 2),
    seckeyTweakAdd: call('ec_seckey_tweak_add', 3),
    xonlyFromPubkey: call('xonly_pubkey_from_pubkey', 4),
  };
}
