/** Every migration of this build, in order; known without loading what runs them. */
export const MIGRATION_NAMES: readonly string[] = ['0001-tables', '0002-additions'];
export const MIGRATIONS_TABLE = 'redoubt_migrations';
