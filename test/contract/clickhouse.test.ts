// What any ClickHouse HTTP server must do for the store: run against the embedded engine, and a real server where one is given.
import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { type ClickHouseClient, ClickHouseLogLevel, createClient } from '@clickhouse/client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { testEngine } from '../kit/store.ts'

interface Server {
  readonly url: string
  readonly user: string
  readonly password: string
  close(): Promise<void>
}

const embedded = async (): Promise<Server> => {
  const engine = await testEngine()
  return { url: engine.url()!, ...engine.credentials, close: () => engine.remove() }
}

// AIRBOSS_TEST_CLICKHOUSE=http://user:password@host:8123
const { AIRBOSS_TEST_CLICKHOUSE: given } = process.env
const real = async (): Promise<Server> => {
  const url = new URL(given!)
  return {
    url: url.origin,
    user: url.username || 'default',
    password: decodeURIComponent(url.password),
    close: async () => undefined,
  }
}
if (!given)
  console.warn(
    'SKIPPED: the ClickHouse contract against a real server; set AIRBOSS_TEST_CLICKHOUSE to its URL',
  )

const servers: [string, () => Promise<Server>][] = [['the embedded engine', embedded]]
if (given) servers.push(['a real server', real])

describe.each(servers)('%s', (_, open) => {
  let server: Server
  let client: ClickHouseClient
  const database = `contract_${process.pid}`
  beforeAll(async () => {
    server = await open()
    client = createClient({
      url: server.url,
      username: server.user,
      password: server.password,
      log: { level: ClickHouseLogLevel.OFF },
    })
    await client.command({ query: `CREATE DATABASE ${database}` })
  })
  afterAll(async () => {
    await client?.command({ query: `DROP DATABASE ${database}` })
    await client?.close()
    await server?.close()
  })

  const post = async (
    sql: string,
    params: Record<string, string> = {},
    headers: Record<string, string> = {},
    method = 'POST',
  ): Promise<{ status: number; text: string; body: Buffer; headers: Headers }> => {
    const answer = await fetch(`${server.url}/?${new URLSearchParams(params)}`, {
      method,
      ...(method === 'POST' ? { body: sql } : {}),
      headers: { 'x-clickhouse-user': server.user, 'x-clickhouse-key': server.password, ...headers },
    })
    const body = Buffer.from(await answer.arrayBuffer())
    return { status: answer.status, text: body.toString(), body, headers: answer.headers }
  }
  const rows = async (query: string, more: object = {}): Promise<unknown[]> =>
    await (await client.query({ query, format: 'JSONEachRow', ...more })).json()
  const failure = async (work: Promise<unknown>): Promise<string> =>
    await work.then(
      () => 'no error',
      (error: { code?: string; message: string }) => `${error.code}: ${error.message}`,
    )

  it('answers a ping without and a query only with the right password', async () => {
    expect(await client.ping()).toEqual({ success: true })
    const wrong = await post('SELECT 1', {}, { 'x-clickhouse-key': 'wrong' })
    expect([401, 403]).toContain(wrong.status)
    expect(wrong.text).toMatch(/^Code: 516\. DB::Exception: .*Authentication failed/)
    expect(wrong.headers.get('x-clickhouse-exception-code')).toBe('516')
    const basic = `Basic ${Buffer.from(`${server.user}:${server.password}`).toString('base64')}`
    const asBasic = await fetch(`${server.url}/`, {
      method: 'POST',
      body: 'SELECT 7',
      headers: { authorization: basic },
    })
    expect(await asBasic.text()).toBe('7\n')
    const inUrl = await fetch(
      `${server.url}/?${new URLSearchParams({ user: server.user, password: server.password, query: 'SELECT 8' })}`,
    )
    expect(await inUrl.text()).toBe('8\n')
  })

  it.each([
    ['TabSeparated', '0\ta\n1\ta\n'],
    ['TabSeparatedWithNames', 'n\ts\n0\ta\n1\ta\n'],
    ['CSVWithNames', '"n","s"\n0,"a"\n1,"a"\n'],
    ['JSONCompactEachRowWithNamesAndTypes', '["n", "s"]\n["UInt8", "String"]\n[0, "a"]\n[1, "a"]\n'],
  ])('writes %s', async (format, text) => {
    expect((await post(`SELECT toUInt8(number) AS n, 'a' AS s FROM numbers(2) FORMAT ${format}`)).text).toBe(
      text,
    )
    expect(
      (await post("SELECT toUInt8(number) AS n, 'a' AS s FROM numbers(2)", { default_format: format })).text,
    ).toBe(text)
  })

  it('writes JSON and JSONCompact that the client reads', async () => {
    const query = 'SELECT number AS n FROM numbers(3)'
    const json = await (await client.query({ query, format: 'JSON' })).json<{ n: string }>()
    expect(json.data.map((row) => Number(row.n))).toEqual([0, 1, 2])
    expect(json.meta).toEqual([{ name: 'n', type: 'UInt64' }])
    expect(json.rows).toBe(3)
    const compact = await (await client.query({ query, format: 'JSONCompact' })).json<[string]>()
    expect(compact.data.map(([n]) => Number(n))).toEqual([0, 1, 2])
  })

  it('writes binary formats: RowBinary, Native, ArrowStream', async () => {
    const rowBinary = await post('SELECT toUInt32(number) FROM numbers(300000) FORMAT RowBinary')
    expect(rowBinary.body.length).toBe(1_200_000)
    expect(rowBinary.body.readUInt32LE(4 * 299_999)).toBe(299_999)
    const named = await post('SELECT toUInt32(number) AS n FROM numbers(300000) FORMAT RowBinaryWithNames')
    expect(named.body.length).toBe(1_200_003)
    const native = await post('SELECT toUInt32(number) AS n FROM numbers(5) FORMAT Native')
    expect([...native.body.subarray(0, 2)]).toEqual([1, 5])
    const arrow = await post('SELECT toUInt32(number) AS n FROM numbers(5) FORMAT ArrowStream')
    expect([...arrow.body.subarray(0, 4)]).toEqual([255, 255, 255, 255])
  })

  it('writes a header once in a long answer, and in an empty one', async () => {
    const long = await post('SELECT number AS n FROM numbers(200000) FORMAT CSVWithNames')
    expect(long.text.split('\n').filter((line) => line === '"n"')).toHaveLength(1)
    expect(long.text.split('\n')).toHaveLength(200_002)
    const empty = await post('SELECT number AS n FROM numbers(0) FORMAT CSVWithNames')
    expect(empty.text.trim()).toBe('"n"')
  })

  it('takes parameters as they are, whatever stands in them', async () => {
    const text = 'it\'s "a" \\ test\n\twith {x:UInt8} and ü — 🚀'
    const query_params = { s: text, n: 5, a: ['x', "y'"], at: new Date(1_700_000_000_123), none: null }
    const query =
      'SELECT {s:String} AS s, {n:UInt32} AS n, {a:Array(String)} AS a, toUnixTimestamp64Milli({at:DateTime64(3)}) AS at, {none:Nullable(String)} AS none'
    const [row] = (await rows(query, { query_params })) as Record<string, unknown>[]
    expect(row).toEqual({ s: text, n: 5, a: ['x', "y'"], at: expect.anything(), none: null })
    expect(await rows("SELECT '{s:String}' AS literal")).toEqual([{ literal: '{s:String}' }])
    expect(await failure(rows('SELECT {s:String}'))).toMatch(/^456: .*Substitution `s` is not set/)
    expect(await failure(rows('SELECT {n:UInt8}', { query_params: { n: 'x' } }))).toMatch(/^457: /)
  })

  it('keeps settings to the statement they came with', async () => {
    const query = "SELECT getSetting('max_execution_time') AS s, 'SETTINGS max_execution_time = 9 -- ' AS t"
    const [mine] = (await rows(query, { clickhouse_settings: { max_execution_time: 7 } })) as { s: number }[]
    expect(Number(mine!.s)).toBe(7)
    for (let i = 0; i < 6; i++) {
      const [other] = (await rows(query)) as { s: number }[]
      expect(Number(other!.s)).toBe(0)
    }
    await client.command({ query: 'SET max_execution_time = 11' })
    for (let i = 0; i < 6; i++) expect(Number(((await rows(query)) as { s: number }[])[0]!.s)).toBe(0)
    const own = await post("SELECT getSetting('max_block_size') SETTINGS max_block_size = 5 -- end", {
      max_block_size: '6',
    })
    expect(own.text).toBe('5\n')
    expect(await failure(rows('SELECT 1', { clickhouse_settings: { no_such_setting: 1 } }))).toMatch(/^115: /)
  })

  it('refuses what a server refuses, with its codes', async () => {
    expect(await failure(rows('SELECT * FROM no_such_table'))).toMatch(/^60: /)
    expect(await failure(rows('SELEC 1'))).toMatch(/^62: /)
    expect(await failure(rows('SELECT 1; SELECT 2'))).toMatch(/^62: /)
    expect(await failure(rows("SELECT 'open"))).toMatch(/^62: /)
    expect(await failure(rows('SELECT no_such_column FROM system.one'))).toMatch(/^47: /)
    expect(await failure(rows('SELECT no_such_function(1)'))).toMatch(/^46: /)
    expect(await failure(rows('SELECT 1', { clickhouse_settings: { database: 'no_such' } }))).toMatch(/^81: /)
    expect((await post('SELECT 1 FORMAT NoSuch')).headers.get('x-clickhouse-exception-code')).toBe('73')
    expect((await post('SELECT 1 FROM no_such_table')).status).toBe(404)
    expect((await post('SELEC')).status).toBe(400)
    expect((await post('')).status).toBe(400)
    const got = await post('', { query: `CREATE TABLE ${database}.got (a UInt8) ENGINE = Memory` }, {}, 'GET')
    expect(got.headers.get('x-clickhouse-exception-code')).toBe('164')
    expect((await fetch(`${server.url}/no/such/path`)).status).toBe(404)
  })

  it('tells an error that comes in the middle of an answer', async () => {
    const set = await client.query({
      query: 'SELECT throwIf(number = 2000000) FROM numbers(5000000) SETTINGS max_block_size = 65536',
      format: 'JSONEachRow',
    })
    let seen = 0
    const read = async (): Promise<void> => {
      for await (const part of set.stream()) seen += part.length
    }
    expect(await failure(read())).toMatch(/^395: /)
    expect(seen).toBeGreaterThan(0)
  })

  it('compresses answers and takes compressed bodies', async () => {
    const zipped = createClient({
      url: server.url,
      username: server.user,
      password: server.password,
      compression: { request: true, response: true },
    })
    const table = `${database}.zipped`
    await zipped.command({
      query: `CREATE TABLE ${table} (a UInt32, b String) ENGINE = MergeTree ORDER BY a`,
    })
    await zipped.insert({ table, values: [{ a: 1, b: 'ü' }], format: 'JSONEachRow' })
    const set = await zipped.query({ query: `SELECT * FROM ${table}`, format: 'JSONEachRow' })
    expect(await set.json()).toEqual([{ a: 1, b: 'ü' }])
    await zipped.close()
    const answer = await fetch(
      `${server.url}/?${new URLSearchParams({ query: `INSERT INTO ${table} FORMAT TSV` })}`,
      {
        method: 'POST',
        body: gzipSync('2\tx\n'),
        headers: {
          'content-encoding': 'gzip',
          'x-clickhouse-user': server.user,
          'x-clickhouse-key': server.password,
        },
      },
    )
    expect(answer.status).toBe(200)
    expect((await post(`SELECT b FROM ${table} ORDER BY a`)).text).toBe('ü\nx\n')
  })

  it('takes inserts in every form: VALUES, JSON, binary, streams, SELECT, substitutions', async () => {
    const table = `${database}.forms`
    await client.command({
      query: `CREATE TABLE ${table} (a UInt32, b String DEFAULT 'd') ENGINE = MergeTree ORDER BY a`,
    })
    await client.command({
      query: `INSERT INTO ${table} VALUES (1, 'one; -- FORMAT'), (2, concat('t', 'wo'))`,
    })
    await client.command({
      query: `INSERT INTO ${table} (a, b) VALUES ({a:UInt32}, {b:String})`,
      query_params: { a: 3, b: "it's" },
    })
    await client.insert({ table, values: [{ a: 4 }], format: 'JSONEachRow' })
    await client.insert({
      table,
      values: Readable.from([[5, 'five']], { objectMode: true }),
      format: 'JSONCompactEachRow',
    })
    const binary = Buffer.from([6, 0, 0, 0, 2, 0, 10])
    const { stream } = await client.exec({
      query: `INSERT INTO ${table} (a, b) FORMAT RowBinary`,
      values: Readable.from([binary], { objectMode: false }),
    })
    for await (const _ of stream);
    await client.command({ query: `INSERT INTO ${table} SELECT number + 7, 'sel' FROM numbers(1)` })
    expect((await post(`INSERT INTO ${table} FORMAT JSONEachRow\n{"a": 8, "b": "in; 'body"}`)).status).toBe(
      200,
    )
    const all = (await rows(`SELECT * FROM ${table} ORDER BY a`)) as { a: number; b: string }[]
    expect(all.map((row) => `${row.a}=${row.b}`)).toEqual([
      '1=one; -- FORMAT',
      '2=two',
      "3=it's",
      '4=d',
      '5=five',
      '6=\0\n',
      '7=sel',
      "8=in; 'body",
    ])
    expect(await failure(client.insert({ table, values: [{ a: 'x' }], format: 'JSONEachRow' }))).toMatch(
      /^(27|6|72|26): /,
    )
    expect((await post(`INSERT INTO ${table} FROM INFILE '/etc/hostname' FORMAT TSV`)).status).not.toBe(200)
  })

  it('ignores a replay under the same deduplication token', async () => {
    const table = `${database}.replay`
    await client.command({
      query: `CREATE TABLE ${table} (a UInt32) ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 100`,
    })
    const insert = (token: string, a: number): Promise<unknown> =>
      client.insert({
        table,
        values: [{ a }],
        format: 'JSONEachRow',
        clickhouse_settings: { insert_deduplication_token: token },
      })
    await insert('one', 1)
    await insert('one', 1)
    await insert('two', 1)
    expect((await post(`SELECT count() FROM ${table}`)).text).toBe('2\n')
  })

  it('refuses an insert into more than 100 partitions whole', async () => {
    const table = `${database}.parts`
    await client.command({
      query: `CREATE TABLE ${table} (a UInt32) ENGINE = MergeTree PARTITION BY a ORDER BY a`,
    })
    const values = Array.from({ length: 101 }, (__, a) => ({ a }))
    expect(await failure(client.insert({ table, values, format: 'JSONEachRow' }))).toMatch(/^252: /)
    expect((await post(`SELECT count() FROM ${table}`)).text).toBe('0\n')
  })

  it('stops a query whose client has gone', async () => {
    const stop = new AbortController()
    const mark = `gone_${process.pid}_${Math.random()}`
    const query = `SELECT count(), '${mark}' FROM numbers(100000000000000) WHERE sipHash64(number) = 1`
    const settings = { cancel_http_readonly_queries_on_client_close: 1, readonly: '2' } as const
    const running = client.query({ query, abort_signal: stop.signal, clickhouse_settings: settings })
    running.catch(() => undefined)
    const listed = async (): Promise<number> =>
      Number(
        (
          await post(
            `SELECT count() FROM system.processes WHERE query LIKE '%${mark}%numbers(1000%' AND query NOT LIKE '%processes%'`,
          )
        ).text,
      )
    await expect.poll(listed, { timeout: 5000 }).toBe(1)
    stop.abort()
    await expect(running).rejects.toThrow()
    await expect.poll(listed, { timeout: 5000 }).toBe(0)
  })

  it('kills a query by the id its client gave it', async () => {
    const query_id = `kill-${process.pid}-${Math.random()}`
    const running = failure(
      client.query({
        query: 'SELECT count() FROM numbers(100000000000000) WHERE sipHash64(number) = 1',
        query_id,
      }),
    )
    await new Promise((resolve) => setTimeout(resolve, 300))
    await client.command({
      query: 'KILL QUERY WHERE query_id = {id:String} ASYNC',
      query_params: { id: query_id },
    })
    expect(await running).toMatch(/^394: /)
  })

  it('answers small queries while a large one runs', async () => {
    const stop = new AbortController()
    const large = client.query({
      query: 'SELECT count() FROM numbers(100000000000000) WHERE sipHash64(number) = 1',
      abort_signal: stop.signal,
    })
    large.catch(() => undefined)
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect((await post('SELECT 1')).text).toBe('1\n')
    stop.abort()
    await expect(large).rejects.toThrow()
  })
})
