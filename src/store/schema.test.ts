import { expect, it } from 'vitest'
import { migrationStatements } from './migrate.ts'
import { createTable, retentionSchema, tables } from './schema.ts'

const retention = retentionSchema.parse({})
const samples = tables.find((t) => t.name === 'samples')!

it('keeps metrics 30 days, costs 2 years, audit 7 years unless told otherwise', () => {
  const days = Object.fromEntries(
    Object.entries(retention).map(([kind, length]) => [kind, length / 86_400_000]),
  )
  expect(days).toEqual({ metrics: 30, events: 365, costs: 730, traces: 7, logs: 7, audit: 2555 })
})

it('refuses a retention that a TTL cannot reckon, and keys it does not know', () => {
  expect(retentionSchema.safeParse({ metrics: '100y' }).error?.issues[0]?.message).toContain('at most 50y')
  expect(retentionSchema.safeParse({ metrics: '1h' }).success).toBe(false)
  expect(retentionSchema.safeParse({ metric: '30d' }).success).toBe(false)
})

it('makes one durable, deduplicating table on one server', () => {
  const [sql, ...rest] = createTable(samples, { database: 'airboss' }, retention)
  expect(rest).toEqual([])
  expect(sql).toContain('ENGINE = MergeTree()')
  expect(sql).toContain('TTL toDateTime(timestamp) + toIntervalSecond(2592000)')
  expect(sql).toContain(
    'non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1',
  )
})

it('makes a replicated table and a distributed one over it on a cluster', () => {
  const [local, distributed] = createTable(samples, { database: 'airboss', cluster: 'main' }, retention)
  expect(local).toContain('`airboss`.`samples_local` ON CLUSTER `main`')
  expect(local).toContain("ReplicatedMergeTree('/clickhouse/tables/{shard}/airboss/samples', '{replica}')")
  expect(local).toContain(' replicated_deduplication_window = 10000')
  expect(distributed).toContain('ENGINE = Distributed(`main`, `airboss`, `samples_local`, id)')
})

it('gives every table the same columns on both', () => {
  const count = (target: { database: string; cluster?: string }): number =>
    migrationStatements(target, retention).filter((sql) => sql.startsWith('CREATE TABLE')).length
  expect(count({ database: 'd' })).toBe(tables.length + 1)
  expect(count({ database: 'd', cluster: 'c' })).toBe(2 * (tables.length + 1))
})
