// `airboss provision`: the dashboards as files in Grafana's provisioning form, or pushed through Grafana's HTTP API.
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { stringify } from 'yaml'
import { dashboards, folder, type Provisioned } from '../../dashboards/dashboards.ts'
import type { Clock } from '../lib/clock.ts'
import { AppError, messageOf } from '../lib/errors.ts'
import type { HttpSend } from '../lib/http.ts'
import { duration } from '../lib/time.ts'
import type { Config } from './config-schema.ts'

/** Where Grafana reaches Airboss. */
export interface Sources {
  /** Of the Prometheus API, such as `http://127.0.0.1:9900`. */
  readonly prometheus: string
  /** Host and port of the ClickHouse interface; null leaves that data source out. */
  readonly clickhouse: {
    readonly host: string
    readonly port: number
    readonly secure: boolean
    readonly username: string
  } | null
  readonly database: string
  /** Where people open the console; dashboards link to its pages. */
  readonly console: string
}

type Say = (line: string) => void

/** A read-only user of a ClickHouse server, for people to look in with; its password is Grafana's to know. */
const reader = 'grafana'

/** Where the configuration says that things are; `server` is how Grafana reaches Airboss, where that is not how it listens. */
export const sourcesOf = ({ listen, storage }: Config, server: string | undefined): Sources => {
  // What listens everywhere is reached at this machine's own address.
  const reachable = (address: string): string => address.replace(/^(0\.0\.0\.0|\[::\])?:/, '127.0.0.1:')
  const prometheus = server ?? listen.external_url ?? `http://${reachable(listen.http)}`
  if (!URL.canParse(prometheus))
    throw new AppError('bad_data', `--server ${prometheus} is no address; write it as http://127.0.0.1:9900`)
  const url = new URL(storage.clickhouse?.url ?? `http://${reachable(listen.clickhouse)}`)
  const secure = url.protocol === 'https:'
  return {
    prometheus,
    // Grafana may know Airboss under a name that no browser knows.
    console: listen.external_url ?? prometheus,
    database: storage.clickhouse?.database ?? 'airboss',
    clickhouse: {
      host: url.hostname,
      port: Number(url.port || (secure ? 8443 : 8123)),
      secure,
      username: storage.clickhouse ? reader : 'default',
    },
  }
}

interface DataSource {
  readonly name: string
  readonly type: string
  readonly uid: string
  readonly access: 'proxy'
  readonly url: string
  readonly isDefault: boolean
  readonly jsonData: Readonly<Record<string, unknown>>
}

const uidOf = (title: string): string => title.toLowerCase().replace(/[^a-z0-9]+/g, '-')

/** The data sources the dashboards and Grafana's explore pages work with. */
export const dataSources = ({ prometheus, clickhouse, database }: Sources): DataSource[] => [
  {
    name: 'Airboss',
    type: 'prometheus',
    uid: 'airboss',
    access: 'proxy',
    url: prometheus,
    isDefault: true,
    jsonData: { httpMethod: 'POST', prometheusType: 'Prometheus', timeInterval: '10s', manageAlerts: false },
  },
  ...(clickhouse
    ? [
        {
          name: 'Airboss ClickHouse',
          type: 'grafana-clickhouse-datasource',
          uid: 'airboss-clickhouse',
          access: 'proxy' as const,
          url: '',
          isDefault: false,
          jsonData: {
            ...{ host: clickhouse.host, port: clickhouse.port, secure: clickhouse.secure, protocol: 'http' },
            ...{ username: clickhouse.username, defaultDatabase: database },
            logs: { defaultDatabase: database, defaultTable: 'otel_logs', otelEnabled: true },
            traces: { defaultDatabase: database, defaultTable: 'otel_traces', otelEnabled: true },
          },
        },
      ]
    : []),
]

// In provisioning files Grafana puts environment variables where a `$` stands.
const dollars = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value), (_, v) => (typeof v === 'string' ? v.replaceAll('$', '$$$$') : v))

const fileNote = '# Written by `airboss provision`; write it again rather than editing it.\n'

interface WriteOptions {
  readonly out: string
  /** Where Grafana sees the folder of dashboards. */
  readonly path: string
  readonly sources: Sources
  /** The variable of Grafana's environment that holds a token of Airboss; '' = Airboss asks for none. */
  readonly tokenEnv: string
  readonly say: Say
}

const writer =
  (out: string, say: Say) =>
  (parts: readonly string[], text: string): void => {
    const file = join(out, ...parts)
    try {
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, text)
    } catch (error) {
      throw new AppError('bad_data', `${file}: ${messageOf(error)}; name a folder that can be written`, {
        cause: error,
      })
    }
    say(file)
  }

/** The data source as a file has it: secrets stand as names of Grafana's environment. */
const sourceFile = (source: DataSource, tokenEnv: string): unknown => {
  const { jsonData, ...rest } = dollars(source) as DataSource
  const base = { ...rest, orgId: 1, editable: false }
  if (source.type === 'prometheus' && tokenEnv !== '')
    return {
      ...base,
      jsonData: { ...jsonData, httpHeaderName1: 'Authorization' },
      secureJsonData: { httpHeaderValue1: `Bearer $${tokenEnv}` },
    }
  if (jsonData['username'] === reader)
    return { ...base, jsonData, secureJsonData: { password: '$GRAFANA_CLICKHOUSE_PASSWORD' } }
  // The embedded engine takes a token of Airboss for a password.
  if (tokenEnv !== '') return { ...base, jsonData, secureJsonData: { password: `$${tokenEnv}` } }
  return { ...base, jsonData }
}

/**
 * Writes `dashboards/<uid>.json`, `provisioning/dashboards/airboss.yaml` and `provisioning/datasources/airboss.yaml` below `out`, and says a line for
 * each. Throws `bad_data` where it cannot write.
 */
export const writeProvisioning = ({ out, path, sources, tokenEnv, say }: WriteOptions): void => {
  const write = writer(out, say)
  const all = dashboards(sources)
  for (const { uid, model } of all)
    write(['dashboards', `${uid}.json`], `${JSON.stringify(model, null, 2)}\n`)
  const provider = {
    name: 'airboss',
    orgId: 1,
    folder,
    folderUid: uidOf(folder),
    type: 'file',
    disableDeletion: false,
    updateIntervalSeconds: 30,
    allowUiUpdates: false,
    options: { path },
  }
  write(
    ['provisioning', 'dashboards', 'airboss.yaml'],
    fileNote + stringify({ apiVersion: 1, providers: [dollars(provider)] }),
  )
  const datasources = dataSources(sources).map((source) => sourceFile(source, tokenEnv))
  write(['provisioning', 'datasources', 'airboss.yaml'], fileNote + stringify({ apiVersion: 1, datasources }))
}

export interface PushDeps {
  /** Grafana's address, a path below it included. */
  readonly grafana: string
  /** A service account's token; '' = none. */
  readonly token: string
  readonly sources: Sources
  readonly send: HttpSend
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly say: Say
}

interface Answer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

const answerTime = duration(30_000)

/** What Grafana said about why not, with the mend where there is one. */
const problem = (what: string, { status, body }: Answer): AppError => {
  const said = [body['status'], body['message']].filter((s) => typeof s === 'string' && s !== '').join(': ')
  const mend =
    status === 401
      ? '; give a service account token by --token-env NAME'
      : status === 403
        ? '; the token needs the role Admin, or Editor with the right to write data sources'
        : body['status'] === 'name-exists'
          ? '; another dashboard in the folder has this title: rename or delete it'
          : body['status'] === 'plugin-dashboard'
            ? '; it belongs to a plugin: delete it there first'
            : ''
  const code =
    status === 401
      ? 'unauthorized'
      : status === 403
        ? 'forbidden'
        : status >= 500
          ? 'unavailable'
          : 'conflict'
  return new AppError(code, `${what}: Grafana answered ${status}${said === '' ? '' : ` (${said})`}${mend}`)
}

class GrafanaClient {
  readonly #deps: PushDeps
  readonly #base: string

  constructor(deps: PushDeps) {
    if (!URL.canParse(deps.grafana) || !/^https?:/.test(deps.grafana))
      throw new AppError(
        'bad_data',
        `--grafana ${deps.grafana} is no address; write it as http://127.0.0.1:3000`,
      )
    this.#deps = deps
    this.#base = deps.grafana.replace(/\/+$/, '')
  }

  async call(method: 'GET' | 'POST' | 'PUT', path: string, body?: unknown): Promise<Answer> {
    const { send, token, clock, signal } = this.#deps
    const answer = await send({
      url: `${this.#base}${path}`,
      method,
      headers: {
        accept: 'application/json',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: clock.timeout(answerTime, signal),
    })
    const text = answer.body.toString('utf8')
    let read: unknown
    try {
      read = JSON.parse(text === '' ? '{}' : text)
    } catch {
      throw new AppError(
        'unavailable',
        `${this.#base}${path} answered ${answer.status} and no JSON; is this Grafana?`,
      )
    }
    return {
      status: answer.status,
      body: typeof read === 'object' && read !== null ? (read as Answer['body']) : {},
    }
  }
}

const putFolder = async (client: GrafanaClient, title: string, say: Say): Promise<void> => {
  const uid = uidOf(title)
  const known = await client.call('GET', `/api/folders/${uid}`)
  if (known.status === 200) return say(`folder ${title} is there`)
  if (known.status !== 404) throw problem(`folder ${title}`, known)
  const made = await client.call('POST', '/api/folders', { uid, title })
  // Somebody else made it in between.
  const raced = made.status === 412 || made.status === 409
  if (raced && (await client.call('GET', `/api/folders/${uid}`)).status === 200)
    return say(`folder ${title} is there`)
  if (made.status !== 200) throw problem(`folder ${title}`, made)
  say(`folder ${title} created`)
}

const putSource = async (client: GrafanaClient, source: DataSource, say: Say): Promise<void> => {
  const path = `/api/datasources/uid/${source.uid}`
  const known = await client.call('GET', path)
  if (known.status === 404) {
    const made = await client.call('POST', '/api/datasources', source)
    if (made.status === 409)
      throw new AppError(
        'conflict',
        `data source ${source.name}: Grafana has another one of this name; rename it, or delete it`,
      )
    if (made.status !== 200) throw problem(`data source ${source.name}`, made)
    return say(`data source ${source.name} created`)
  }
  if (known.status !== 200) throw problem(`data source ${source.name}`, known)
  if (known.body['readOnly'] === true)
    return say(`data source ${source.name} comes from a provisioning file and is left as it is`)
  // Whether it is the default one is for its owner to say, once it is there.
  const isDefault = known.body['isDefault'] === true
  const put = await client.call('PUT', path, {
    ...source,
    isDefault,
    // What its owner added, such as a header with a token, stays.
    jsonData: { ...(known.body['jsonData'] as object | undefined), ...source.jsonData },
    version: known.body['version'],
  })
  if (put.status !== 200) throw problem(`data source ${source.name}`, put)
  say(`data source ${source.name} updated`)
}

const putDashboard = async (client: GrafanaClient, board: Provisioned, say: Say): Promise<void> => {
  const save = () =>
    client.call('POST', '/api/dashboards/db', {
      dashboard: { ...board.model, id: null },
      folderUid: uidOf(folder),
      message: 'airboss provision',
      overwrite: true,
    })
  let answer = await save()
  // Somebody saved it at the same moment: ours is the newer one now.
  if (answer.status === 412 && answer.body['status'] === 'version-mismatch') answer = await save()
  if (answer.status === 400 && /provisioned/i.test(String(answer.body['message'])))
    return say(`dashboard ${board.title} comes from a provisioning file and is left as it is`)
  if (answer.status !== 200) throw problem(`dashboard ${board.title}`, answer)
  say(`dashboard ${board.title} saved as version ${answer.body['version']}: ${answer.body['url']}`)
}

/**
 * Brings Grafana's folder, data sources and dashboards to what comes with this version; done again it changes nothing more. Throws at the first
 * that Grafana does not take, with its reason.
 */
export const pushToGrafana = async (deps: PushDeps): Promise<void> => {
  const { say, sources } = deps
  const client = new GrafanaClient(deps)
  await putFolder(client, folder, say)
  for (const source of dataSources(sources)) await putSource(client, source, say)
  for (const board of dashboards(sources)) await putDashboard(client, board, say)
}
