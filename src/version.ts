declare const __REDOUBT_VERSION__: string | undefined;

/** The package's version, put in by build.ts; `dev` when the sources run as they are. */
export const version = typeof __REDOUBT_VERSION__ === 'string' ? __REDOUBT_VERSION__ : 'dev';
