import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { parse } from 'yaml'
import { type FakeGrafana, startFakeGrafana } from '../../test/kit/fake-grafana.ts'
import { tempDir } from '../../test/kit/temp-dir.ts'
import { systemClock } from '../lib/clock.ts'
import { createHttp } from '../lib/http.ts'
import { readArguments } from './arguments.ts'
import { run } from './commands.ts'
import { configSchema } from './config-schema.ts'
import { pushToGrafana, type Sources, sourcesOf, writeProvisioning } from './provision.ts'

const sources: Sources = {
  prometheus: 'http://airboss:9900',
  console: 'https://airboss.example.com',
  clickhouse: { host: 'airboss', port: 8123, secure: false, username: 'default' },
  database: 'airboss',
}
const configOf = (config: object) => configSchema({}).parse(config)

describe('where things are', () => {
  test('as the configuration listens, on loopback where it listens everywhere', () => {
    const config = configOf({ listen: { http: '0.0.0.0:9900', clickhouse: ':8124' } })
    expect(sourcesOf(config, undefined)).toEqual({
      prometheus: 'http://127.0.0.1:9900',
      console: 'http://127.0.0.1:9900',
      clickhouse: { host: '127.0.0.1', port: 8124, secure: false, username: 'default' },
      database: 'airboss',
    })
  })
  test('as told; a ClickHouse server under its own address with a user who only reads', () => {
    const config = configOf({
      storage: { clickhouse: { url: 'https://clickhouse.example.com', database: 'ops' } },
    })
    expect(sourcesOf(config, 'http://airboss:9900')).toEqual({
      prometheus: 'http://airboss:9900',
      console: 'http://airboss:9900',
      clickhouse: { host: 'clickhouse.example.com', port: 8443, secure: true, username: 'grafana' },
      database: 'ops',
    })
    expect(() => sourcesOf(config, 'airboss')).toThrow(/--server airboss is no address/)
  })
})

describe('as files', () => {
  const written = (more: Partial<Parameters<typeof writeProvisioning>[0]> = {}) => {
    const out = tempDir()
    const said: string[] = []
    writeProvisioning({
      out,
      path: '/var/dashboards',
      sources,
      tokenEnv: '',
      say: (l) => said.push(l),
      ...more,
    })
    const read = (...parts: string[]) => readFileSync(join(out, ...parts), 'utf8')
    return { out, said, read }
  }
  test('dashboards, providers and data sources in Grafana’s form', () => {
    const { out, said, read } = written()
    expect(readdirSync(join(out, 'dashboards')).sort()).toEqual([
      'airboss-agents.json',
      'airboss-alerting.json',
      'airboss-collectors.json',
      'airboss-containers.json',
      'airboss-cost.json',
      'airboss-fleet.json',
      'airboss-host.json',
      'airboss-self.json',
      'airboss-slo.json',
    ])
    expect(said).toHaveLength(11)
    // Links lead where people reach the console, not where Grafana reaches the API.
    expect(read('dashboards/airboss-agents.json')).toContain('https://airboss.example.com')
    expect(parse(read('provisioning/dashboards/airboss.yaml'))).toMatchObject({
      apiVersion: 1,
      providers: [{ name: 'airboss', type: 'file', folder: 'Airboss', options: { path: '/var/dashboards' } }],
    })
    const { datasources } = parse(read('provisioning/datasources/airboss.yaml'))
    expect(datasources).toMatchObject([
      { type: 'prometheus', uid: 'airboss', url: 'http://airboss:9900', jsonData: { httpMethod: 'POST' } },
      {
        type: 'grafana-clickhouse-datasource',
        jsonData: { host: 'airboss', port: 8123, protocol: 'http', defaultDatabase: 'airboss' },
      },
    ])
    expect(datasources[0]).not.toHaveProperty('secureJsonData')
  })
  test('secrets stand as names of Grafana’s environment, other dollars are taken as they are', () => {
    const { read } = written({
      tokenEnv: 'AIRBOSS_TOKEN',
      sources: {
        ...sources,
        prometheus: 'http://airboss:9900/$HOME',
        clickhouse: { ...sources.clickhouse!, username: 'grafana' },
      },
    })
    const [prometheus, clickhouse] = parse(read('provisioning/datasources/airboss.yaml')).datasources
    expect(prometheus).toMatchObject({
      url: 'http://airboss:9900/$$HOME',
      jsonData: { httpHeaderName1: 'Authorization' },
      secureJsonData: { httpHeaderValue1: 'Bearer $AIRBOSS_TOKEN' },
    })
    expect(clickhouse.secureJsonData).toEqual({ password: '$GRAFANA_CLICKHOUSE_PASSWORD' })
    const embedded = parse(
      written({ tokenEnv: 'AIRBOSS_TOKEN' }).read('provisioning/datasources/airboss.yaml'),
    )
    expect(embedded.datasources[1].secureJsonData).toEqual({ password: '$AIRBOSS_TOKEN' })
  })
  test('what docker-compose opens first is written, and its links lead where a browser reaches the console', () => {
    const root = join(import.meta.dirname, '../..')
    const { services } = parse(readFileSync(join(root, 'docker-compose.yml'), 'utf8'), { merge: true })
    const { listen, storage } = parse(readFileSync(join(root, 'docker/airboss.docker.yaml'), 'utf8'))
    const { command } = services.provision
    const server = command[command.indexOf('--server') + 1]
    const config = configOf({ listen, storage: { clickhouse: { ...storage.clickhouse, password: 'x' } } })
    const { read } = written({ sources: sourcesOf(config, server) })
    const home = services.grafana.environment.GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH as string
    expect(home.startsWith(`${command[command.indexOf('--out') + 1]}/dashboards/`)).toBe(true)
    const model = JSON.parse(read('dashboards', home.split('/').at(-1)!))
    const known = model.templating.list.find((v: { name: string }) => v.name === 'console')
    expect(known.query).toBe('http://localhost:9900')
  })
  test('a folder that cannot be written is named', () => {
    const file = join(tempDir(), 'file')
    writeFileSync(file, '')
    expect(() => written({ out: join(file, 'below') })).toThrow(
      /file.below.*name a folder that can be written/,
    )
  })
})

describe('the command', () => {
  const airboss = async (...argv: string[]): Promise<string[]> => {
    const said: string[] = []
    const outside = {
      stop: new AbortController().signal,
      out: (l: string) => said.push(l),
      onHangup: () => {},
      pid: 1,
    }
    expect(await run(readArguments(['provision', ...argv]), outside)).toBe(0)
    return said
  }
  test('writes files that name where Airboss is reached', async () => {
    const out = tempDir()
    const said = await airboss('--out', out, '--server', 'http://airboss:9900')
    expect(said).toContain(join(out, 'dashboards', 'airboss-host.json'))
    expect(readFileSync(join(out, 'provisioning/datasources/airboss.yaml'), 'utf8')).toContain(
      'url: http://airboss:9900',
    )
  })
  test('takes Grafana’s token from the variable that is named', async () => {
    const grafana = await startFakeGrafana({ token: process.env['PATH']! })
    onTestFinished(grafana.close)
    expect(await airboss('--grafana', grafana.url, '--token-env', 'PATH')).toHaveLength(12)
  })
  test.each([
    [[], /needs either --out DIR or --grafana URL/],
    [['--out', 'a', '--grafana', 'http://b'], /needs either/],
    [['--grafana', 'http://b', '--token-env', 'NO_SUCH_TOKEN'], /NO_SUCH_TOKEN is not set/],
  ])('provision %j says what is wrong', async (argv, why) => {
    await expect(airboss(...argv)).rejects.toThrow(why)
  })
})

describe('pushed to Grafana', () => {
  const http = createHttp()
  let grafana: FakeGrafana
  beforeEach(async () => {
    grafana = await startFakeGrafana({ token: 'glsa_1' })
  })
  afterEach(() => grafana.close())
  const push = async (more: Partial<Parameters<typeof pushToGrafana>[0]> = {}): Promise<string[]> => {
    const said: string[] = []
    await pushToGrafana({
      grafana: `${grafana.url}/`,
      token: 'glsa_1',
      sources,
      send: http.send,
      clock: systemClock,
      signal: new AbortController().signal,
      say: (line) => said.push(line),
      ...more,
    })
    return said
  }

  test('folder, data sources and dashboards, a line each', async () => {
    const said = await push()
    expect(said).toEqual([
      'folder Airboss created',
      'data source Airboss created',
      'data source Airboss ClickHouse created',
      'dashboard Airboss / Hosts saved as version 1: /d/airboss-host/airboss-hosts',
      'dashboard Airboss / Fleet saved as version 1: /d/airboss-fleet/airboss-fleet',
      'dashboard Airboss / Agents and GenAI saved as version 1: /d/airboss-agents/airboss-agents-and-genai',
      'dashboard Airboss / Cost saved as version 1: /d/airboss-cost/airboss-cost',
      'dashboard Airboss / Alerting and on-call saved as version 1: /d/airboss-alerting/airboss-alerting-and-on-call',
      'dashboard Airboss / Service levels saved as version 1: /d/airboss-slo/airboss-service-levels',
      'dashboard Airboss / Collection saved as version 1: /d/airboss-collectors/airboss-collection',
      'dashboard Airboss / Containers and pods saved as version 1: /d/airboss-containers/airboss-containers-and-pods',
      'dashboard Airboss / Itself saved as version 1: /d/airboss-self/airboss-itself',
    ])
    expect([...grafana.dashboards.values()].map((d) => [d.folderUid, d.model.id])).toEqual(
      Array(9).fill(['airboss', null]),
    )
    expect(grafana.sources.get('airboss')).toMatchObject({ url: 'http://airboss:9900', isDefault: true })
  })
  test('a second time updates the same ones and keeps what their owner set', async () => {
    await push()
    const known = grafana.sources.get('airboss')
    known.isDefault = false
    known.jsonData.httpHeaderName1 = 'Authorization'
    const said = await push({ sources: { ...sources, prometheus: 'http://other:9900' } })
    expect(said.slice(0, 2)).toEqual(['folder Airboss is there', 'data source Airboss updated'])
    expect([grafana.folders.size, grafana.sources.size, grafana.dashboards.size]).toEqual([1, 2, 9])
    expect(grafana.sources.get('airboss')).toMatchObject({
      url: 'http://other:9900',
      isDefault: false,
      jsonData: { httpHeaderName1: 'Authorization', httpMethod: 'POST' },
    })
  })
  test('a data source that comes from a file is left alone', async () => {
    await push()
    grafana.sources.get('airboss').readOnly = true
    expect((await push())[1]).toBe('data source Airboss comes from a provisioning file and is left as it is')
  })
  test('saved by somebody else at the same moment: saved again', async () => {
    const path = '/api/dashboards/db'
    grafana.next.push({
      path,
      reply: { status: 412, body: { status: 'version-mismatch', message: 'changed' } },
    })
    await push()
    expect(grafana.dashboards.size).toBe(9)
    expect(grafana.asked.filter((a) => a.endsWith(path))).toHaveLength(10)
  })
  test.each([
    [412, { status: 'name-exists', message: 'a dashboard with the same name exists' }, /rename or delete it/],
    [412, { status: 'plugin-dashboard', message: 'belongs to a plugin' }, /belongs to a plugin: delete it/],
    [412, { status: 'version-mismatch', message: 'changed' }, /412 \(version-mismatch: changed\)/],
    [403, { message: 'forbidden' }, /needs the role Admin/],
    [500, { message: 'boom' }, /Grafana answered 500 \(boom\)/],
    [502, '<html>bad gateway</html>', /answered 502 and no JSON; is this Grafana\?/],
  ])('a dashboard refused with %i %j says why', async (status, body, why) => {
    const path = '/api/dashboards/db'
    grafana.next.push({ path, reply: { status, body } }, { path, reply: { status, body } })
    await expect(push()).rejects.toThrow(why)
  })
  test('a folder made by somebody else in between is as good', async () => {
    await push()
    grafana.next.push({ path: '/api/folders/airboss', reply: { status: 404, body: {} } })
    expect((await push())[0]).toBe('folder Airboss is there')
  })
  test('another data source of the name is not overwritten', async () => {
    grafana.sources.set('mine', { uid: 'mine', name: 'Airboss', version: 1 })
    await expect(push()).rejects.toThrow(/another one of this name; rename it/)
    expect(grafana.sources.get('mine')).toMatchObject({ version: 1 })
  })
  test('a wrong token, no address, nobody there', async () => {
    await expect(push({ token: '' })).rejects.toMatchObject({
      code: 'unauthorized',
      message: expect.stringContaining('--token-env'),
    })
    await expect(push({ grafana: 'grafana:3000' })).rejects.toThrow(/is no address; write it as http/)
    const { url } = grafana
    await grafana.close()
    await expect(push({ grafana: url })).rejects.toMatchObject({ code: 'unavailable', retryable: true })
    grafana = await startFakeGrafana()
  })
})
