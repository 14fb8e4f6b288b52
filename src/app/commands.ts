// What each command does.
import { resolve } from 'node:path'
import { systemClock } from '../lib/clock.ts'
import { AppError } from '../lib/errors.ts'
import { createHttp } from '../lib/http.ts'
import { createLogger } from '../lib/log.ts'
import { duration } from '../lib/time.ts'
import { type Arguments, usage } from './arguments.ts'
import { build } from './build.ts'
import { checkAll, checkSettings } from './check.ts'
import { environment, readSettings } from './config.ts'
import { costsCommand } from './costs-command.ts'
import { migrateStore } from './migrate.ts'
import { version } from './package-root.ts'
import { testRulesCommand } from './test-rules.ts'

export interface Outside {
  /** Aborted when the process is asked to end. */
  readonly stop: AbortSignal
  readonly out: (line: string) => void
  readonly onHangup: (run: () => void) => void
  readonly pid: number
}

const serve = async ({ flags }: Arguments, { stop, out, onHangup, pid }: Outside): Promise<number> => {
  const settings = readSettings(flags)
  checkSettings(settings)
  const log = createLogger({ level: settings.logLevel })
  const airboss = await build(settings, flags, log)
  // A failed reload is logged where it fails.
  onHangup(() => void airboss.reload().catch(() => {}))
  out(JSON.stringify({ msg: 'ready', pid, version, ...airboss.addresses }))
  if (!stop.aborted)
    await new Promise<void>((resolve) => stop.addEventListener('abort', () => resolve(), { once: true }))
  log.info({ signal: String(stop.reason) }, 'stopping')
  await airboss.stop()
  return 0
}

const query = async ({ rest, options }: Arguments, { stop, out }: Outside): Promise<number> => {
  const [expr] = rest
  if (!expr) throw new AppError('bad_data', 'query needs an expression: airboss query "up"')
  const server = options['server'] ?? 'http://127.0.0.1:9900'
  const http = createHttp()
  const answer = await http.send({
    url: `${server}/api/v1/query`,
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({
      query: expr,
      ...(options['time'] ? { time: options['time'] } : {}),
    }).toString(),
    signal: systemClock.timeout(duration(120_000), stop),
    maxBytes: 256 << 20,
  })
  const body = JSON.parse(answer.body.toString('utf8')) as {
    status: string
    error?: string
    data?: { resultType: string; result: unknown }
  }
  await http.close()
  if (body.status !== 'success')
    throw new AppError('execution', body.error ?? `the server answered ${answer.status}`)
  const result = body.data?.result
  const rows =
    Array.isArray(result) && body.data?.resultType !== 'scalar' && body.data?.resultType !== 'string'
      ? result
      : [{ value: result }]
  for (const row of rows as {
    metric?: Record<string, string>
    value?: [number, string]
    values?: [number, string][]
  }[]) {
    const { __name__: name = '', ...labels } = row.metric ?? {}
    const text = Object.entries(labels).map(([k, v]) => `${k}=${JSON.stringify(v)}`)
    out(
      `${name}${text.length > 0 || row.metric ? `{${text.join(', ')}}` : ''} => ${row.value ? `${row.value[1]} @[${row.value[0]}]` : JSON.stringify(row.values)}`,
    )
  }
  return 0
}

const provision = async ({ flags, options }: Arguments, { stop, out: say }: Outside): Promise<number> => {
  const { out, grafana, server, tokenEnv = '' } = options
  if ((out === undefined) === (grafana === undefined))
    throw new AppError('bad_data', 'provision needs either --out DIR or --grafana URL')
  // The dashboards and their library are read for this command alone.
  const { pushToGrafana, sourcesOf, writeProvisioning } = await import('./provision.ts')
  const sources = sourcesOf(readSettings(flags).config, server)
  if (out !== undefined) {
    writeProvisioning({ out, path: resolve(out, 'dashboards'), sources, tokenEnv, say })
    return 0
  }
  const token = tokenEnv === '' ? '' : environment()[tokenEnv]
  if (token === undefined)
    throw new AppError(
      'bad_data',
      `the environment variable ${tokenEnv} is not set; put Grafana's token there`,
    )
  const http = createHttp()
  try {
    await pushToGrafana({
      grafana: grafana!,
      token,
      sources,
      send: http.send,
      clock: systemClock,
      signal: stop,
      say,
    })
  } finally {
    await http.close()
  }
  return 0
}

const migrate = ({ flags }: Arguments, { stop }: Outside): Promise<string> => {
  const settings = readSettings(flags)
  return migrateStore(settings, createLogger({ level: settings.logLevel }), stop)
}

/** Runs a command; gives the exit code. */
export const run = async (args: Arguments, outside: Outside): Promise<number> => {
  const { out } = outside
  switch (args.command) {
    case 'serve':
      return serve(args, outside)
    case 'query':
      return query(args, outside)
    case 'provision':
      return provision(args, outside)
    case 'check':
      for (const line of checkAll(readSettings(args.flags))) out(line)
      return 0
    case 'test-rules':
      return testRulesCommand(args.rest, out)
    case 'migrate':
      out(await migrate(args, outside))
      return 0
    case 'costs':
      return costsCommand(args, outside.stop, out)
    case 'help':
      out(usage)
      return 0
    case 'version':
      out(version)
      return 0
  }
}
