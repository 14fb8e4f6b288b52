// Brings the store's tables to the version this code needs, and their retention to what the configuration says.
import { AppError } from '../lib/errors.ts'
import type { Connection } from './connection.ts'
import { otelLookups } from './otel-lookups.ts'
import {
  addColumn,
  addCostColumns,
  alterTtl,
  createDatabase,
  createTable,
  exemplars,
  firstTables,
  histograms,
  type Retention,
  series,
  storedAs,
  type Target,
  tables,
  ttlOf,
} from './schema.ts'

interface Migration {
  readonly version: number
  readonly name: string
  statements(target: Target, retention: Retention): string[]
}

/** In order, never changed once released: a change of a table is a further migration. */
const migrations: readonly Migration[] = [
  {
    version: 1,
    name: 'the first tables',
    statements: (target, retention) => firstTables.flatMap((table) => createTable(table, target, retention)),
  },
  {
    version: 2,
    name: 'exemplars',
    statements: (target, retention) => createTable(exemplars, target, retention),
  },
  {
    version: 3,
    name: 'native histograms',
    statements: (target, retention) => [
      ...createTable(histograms, target, retention),
      ...addColumn(series, 'histograms', target),
    ],
  },
  {
    version: 4,
    name: 'look-ups of traces and logs',
    statements: otelLookups,
  },
  {
    version: 5,
    name: 'costs know their span',
    statements: (target) => addCostColumns(target),
  },
]

const historyTable = (target: Target): string[] =>
  createTable(
    {
      name: 'migrations',
      columns: [
        ['version', 'UInt32'],
        ['name', 'String'],
        ['applied_at', 'DateTime64(3)'],
      ],
      engine: 'ReplacingMergeTree',
      orderBy: 'version',
      shardBy: 'version',
    },
    target,
    {} as Retention,
  )

/** Every statement of every migration, in order: for people who want to read them first. */
export const migrationStatements = (target: Target, retention: Retention): string[] => [
  createDatabase(target),
  ...historyTable(target),
  ...migrations.flatMap((m) => m.statements(target, retention)),
]

/**
 * Applies what is missing and returns the versions applied. Statements are idempotent, so a migration cut short is simply run again. Throws
 * what the server says; a store newer than this code is an error.
 */
export const migrate = async (
  connection: Connection,
  target: Target,
  retention: Retention,
  signal: AbortSignal,
): Promise<number[]> => {
  await connection.command(createDatabase(target), { signal, bare: true })
  for (const statement of historyTable(target)) await connection.command(statement, { signal })
  const rows = await connection.rows<{ version: number }>('SELECT DISTINCT version FROM migrations', {
    signal,
  })
  const applied = new Set(rows.map((row) => Number(row.version)))
  const newest = migrations.at(-1)!.version
  const unknown = [...applied].filter((version) => version > newest)
  if (unknown.length > 0)
    throw new AppError(
      'conflict',
      `the database ${target.database} was made by a newer Airboss (its tables are at version ${Math.max(...unknown)}, this one knows ${newest}); start the newer one`,
    )
  const done: number[] = []
  for (const migration of migrations) {
    if (applied.has(migration.version)) continue
    for (const statement of migration.statements(target, retention))
      await connection.command(statement, { signal })
    await connection.command('INSERT INTO migrations SELECT {version:UInt32}, {name:String}, now64(3)', {
      signal,
      params: { version: migration.version, name: migration.name },
    })
    done.push(migration.version)
  }
  await applyRetention(connection, target, retention, signal)
  return done
}

/** Alters the TTL of every table whose kept one differs. */
const applyRetention = async (
  connection: Connection,
  target: Target,
  retention: Retention,
  signal: AbortSignal,
): Promise<void> => {
  const rows = await connection.rows<{ name: string; sql: string }>(
    'SELECT name, create_table_query AS sql FROM system.tables WHERE database = {database:String}',
    { signal, params: { database: target.database } },
  )
  const sqlOf = new Map(rows.map((row) => [row.name, row.sql]))
  for (const table of tables) {
    const wanted = ttlOf(table, retention)
    const sql = sqlOf.get(storedAs(table, target)) ?? ''
    if (wanted && !sql.includes(`TTL ${wanted}`))
      await connection.command(alterTtl(table, target, wanted), {
        signal,
        settings: { materialize_ttl_after_modify: 0 },
      })
  }
}
