/** nsecbunker.json at most: keys of ten thousand accounts fit in. */
export const MAX_CONFIG_BYTES = 64 * 1024 * 1024;
