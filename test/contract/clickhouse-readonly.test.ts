// The read-only view: what Grafana and ClickHouse clients need works, and nothing else does.
import { request } from 'node:http'
import { ClickHouseLogLevel, createClient } from '@clickhouse/client'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { silentLogger } from '../../src/lib/log.ts'
import { sampleBatch } from '../../src/model/batch.ts'
import { labelsOf } from '../../src/model/labels.ts'
import { createReadOnlyFront, type ReadOnlyFront } from '../../src/store/readonly.ts'
import { fakeMetrics } from '../kit/metrics.ts'
import { never, testEngine, testStore } from '../kit/store.ts'

let engine: Awaited<ReturnType<typeof testEngine>>
let front: ReadOnlyFront
let url: string
let database: string
beforeAll(async () => {
  engine = await testEngine()
  const made = await testStore(engine)
  database = made.database
  const ref = made.table.intern(labelsOf({ __name__: 'up', job: 'j' }))
  await made.store.writer.write(sampleBatch([ref], [Date.now()], [1]), 't', never)
  front = createReadOnlyFront({
    listen: { host: '127.0.0.1', port: 0 },
    url: () => engine.url(),
    credentials: engine.credentials,
    database,
    log: silentLogger(),
    metrics: fakeMetrics(),
    caps: { seconds: 5 },
  })
  await front.start()
  url = `http://127.0.0.1:${front.address().port}`
})
afterAll(async () => {
  await front?.drain()
  await engine?.remove()
})

const ask = async (
  sql: string,
  params: Record<string, string> = {},
): Promise<{ status: number; code: string | null; text: string }> => {
  const answer = await fetch(`${url}/?${new URLSearchParams(params)}`, { method: 'POST', body: sql })
  return {
    status: answer.status,
    code: answer.headers.get('x-clickhouse-exception-code'),
    text: await answer.text(),
  }
}

it('answers SELECT, SHOW, DESCRIBE, EXISTS, EXPLAIN and WITH, and a GET', async () => {
  expect((await ask('SELECT count() FROM samples')).text).toBe('1\n')
  expect((await ask(`SELECT count() FROM ${database}.samples`)).text).toBe('1\n')
  expect((await ask('WITH 2 AS x SELECT x')).text).toBe('2\n')
  expect((await ask('SHOW TABLES')).text).toContain('samples\n')
  expect((await ask('DESCRIBE samples')).text).toContain('timestamp')
  expect((await ask('EXISTS samples')).text).toBe('1\n')
  expect((await ask('EXPLAIN SELECT 1')).status).toBe(200)
  expect((await ask('SELECT name FROM system.tables WHERE database = currentDatabase()')).text).toContain(
    'events',
  )
  expect((await ask("SELECT 'system.processes', 'file(', 1 AS file")).status).toBe(200)
  expect(await (await fetch(`${url}/?query=SELECT%201`)).text()).toBe('1\n')
  expect(await (await fetch(`${url}/ping`)).text()).toBe('Ok.\n')
})

it('serves the official client, with parameters, formats and a time limit', async () => {
  const client = createClient({
    url,
    log: { level: ClickHouseLogLevel.OFF },
    compression: { response: true },
  })
  const set = await client.query({
    query: "SELECT metric, labels['job'] AS job, {n:UInt8} AS n FROM series",
    format: 'JSONEachRow',
    query_params: { n: 3 },
    clickhouse_settings: { max_execution_time: 3 },
  })
  expect(await set.json()).toEqual([{ metric: 'up', job: 'j', n: 3 }])
  await client.close()
  expect((await ask("SELECT getSetting('max_execution_time')", { max_execution_time: '3' })).text).toBe('3\n')
  expect((await ask("SELECT getSetting('max_execution_time')", { max_execution_time: '300' })).text).toBe(
    '5\n',
  )
  expect((await ask("SELECT getSetting('readonly')", { readonly: '0' })).text).toBe('1\n')
})

it.each([
  ['INSERT INTO samples VALUES (1, 2, 3, 4)', '164'],
  ['DROP TABLE samples', '164'],
  ['CREATE TABLE x (a UInt8) ENGINE = Memory', '164'],
  ['ALTER TABLE samples DELETE WHERE 1', '164'],
  ['SYSTEM SHUTDOWN', '164'],
  ['SET readonly = 0', '164'],
  ['KILL QUERY WHERE 1', '164'],
  ['SELECT 1; DROP TABLE samples', '62'],
  ['SELECT 1 SETTINGS readonly = 0', '164'],
  ['SELECT 1 FORMAT TSV SETTINGS readonly = 0', '164'],
  ['SELECT * FROM (SELECT 1 SETTINGS readonly = 0)', '164'],
  ["SELECT * FROM file('/etc/passwd', 'LineAsString')", '497'],
  ["SELECT file('/etc/passwd')", '497'],
  ["SELECT * FROM `file` /* c */ ('/etc/passwd', 'LineAsString')", '497'],
  ["SELECT * FROM url('http://127.0.0.1/', 'LineAsString')", '497'],
  ["SELECT * FROM remote('127.0.0.1', system.one)", '497'],
  ["SELECT * FROM merge('system', 'processes')", '497'],
  ['SELECT * FROM system.processes', '497'],
  ['SELECT * FROM "system" . `query_log`', '497'],
  ['SHOW PROCESSLIST', '497'],
  ["SELECT 1 INTO OUTFILE '/tmp/x'", '48'],
])('refuses %s', async (sql, code) => {
  const answer = await ask(sql)
  expect([answer.code, answer.status >= 400]).toEqual([code, true])
})

it('refuses parameters and settings that would get around it', async () => {
  expect((await ask('SELECT * FROM {db:Identifier}.processes', { param_db: 'system' })).code).toBe('497')
  expect((await ask('SELECT 1', { max_memory_usage_for_user: '0' })).code).toBe('164')
  expect((await ask('SELECT 1', { database: 'system' })).code).toBe('497')
  expect((await ask("SELECT getSetting('max_memory_usage')", { max_memory_usage: '0' })).text).toBe(
    `${1024 ** 3}\n`,
  )
})

it('ends a query at its time limit', async () => {
  const answer = await ask('SELECT count() FROM numbers(100000000000000) WHERE sipHash64(number) = 1', {
    max_execution_time: '1',
  })
  expect(answer.code).toBe('159')
})

it('refuses foreign hosts and web pages', async () => {
  const withHeaders = (headers: Record<string, string>): Promise<number> =>
    new Promise((resolve, reject) => {
      const out = request(`${url}/?query=SELECT%201`, { headers }, (answer) => {
        answer.resume()
        resolve(answer.statusCode ?? 0)
      })
      out.on('error', reject)
      out.end()
    })
  expect(await withHeaders({ host: 'evil.example:8123' })).toBe(403)
  expect(await withHeaders({ host: 'localhost:1', origin: 'http://localhost:3000' })).toBe(403)
  expect(await withHeaders({ host: 'localhost:8123' })).toBe(200)
})

it('lets two run at a time and others wait', async () => {
  const sleeps = Array.from({ length: 4 }, () => ask('SELECT sleep(0.3)'))
  const began = performance.now()
  const answers = await Promise.all(sleeps)
  expect(answers.map((a) => a.text)).toEqual(['0\n', '0\n', '0\n', '0\n'])
  expect(performance.now() - began).toBeGreaterThan(550)
})

it('says 503 while the store is away', async () => {
  const away = createReadOnlyFront({
    listen: { host: '127.0.0.1', port: 0 },
    url: () => null,
    credentials: engine.credentials,
    database,
    log: silentLogger(),
    metrics: fakeMetrics(),
  })
  await away.start()
  const answer = await fetch(`http://127.0.0.1:${away.address().port}/?query=SELECT%201`)
  expect([answer.status, await answer.text()]).toEqual([503, expect.stringContaining('The store is away')])
  await away.drain()
})
