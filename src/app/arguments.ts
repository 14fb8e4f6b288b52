// The command line: commands, their flags, and what to say when it is wrong.
import { parseArgs } from 'node:util'
import { AppError, messageOf } from '../lib/errors.ts'
import type { Flags } from './config.ts'

export const commands = [
  'serve',
  'check',
  'query',
  'test-rules',
  'migrate',
  'provision',
  'costs',
  'help',
  'version',
] as const
export type Command = (typeof commands)[number]

export interface Arguments {
  readonly command: Command
  readonly flags: Flags
  /** What stands after the command and its flags. */
  readonly rest: readonly string[]
  readonly options: Readonly<Record<string, string | undefined>>
}

export const usage = `airboss <command> [flags]

  serve        run Airboss (what npm start does)
  check        read the configuration, the rule files and the Alertmanager file; name every problem
  query EXPR   ask a running Airboss in PromQL            --server URL
  test-rules FILE…   run rule tests in promtool's form
  migrate      bring ClickHouse's tables up, and stop
  provision    write the dashboards as JSON, or push them to Grafana
               --grafana URL [--token-env NAME]    NAME holds Grafana's token
               --out DIR [--token-env NAME]        Grafana's NAME shall hold Airboss's token
               --server URL                        how Grafana reaches Airboss
  costs import FILE    take in a bill in FOCUS (CSV, or JSON by its name)     --server URL --token-env NAME
  costs export         write costs in FOCUS        --from DAY --to DAY --format csv|json --out FILE --server URL

  --config FILE        airboss.yaml                        AIRBOSS_CONFIG
  --data DIR           where everything is kept            AIRBOSS_DATA
  --listen ADDR        console and APIs, 127.0.0.1:9900    AIRBOSS_LISTEN
  --otlp-http ADDR     127.0.0.1:4318                      AIRBOSS_OTLP_HTTP
  --otlp-grpc ADDR     127.0.0.1:4317                      AIRBOSS_OTLP_GRPC
  --clickhouse ADDR    read-only ClickHouse, 127.0.0.1:8123   AIRBOSS_CLICKHOUSE
  --log-level LEVEL    debug, info, warn, error            AIRBOSS_LOG_LEVEL
`

const text = { type: 'string' } as const
const options = {
  config: text,
  data: text,
  listen: text,
  'otlp-http': text,
  'otlp-grpc': text,
  clickhouse: text,
  'log-level': text,
  server: text,
  out: text,
  grafana: text,
  'token-env': text,
  time: text,
  from: text,
  to: text,
  format: text,
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' },
} as const

/** Throws `bad_data` with the mend. */
export const readArguments = (argv: readonly string[]): Arguments => {
  let parsed: ReturnType<typeof parse>
  try {
    parsed = parse(argv)
  } catch (error) {
    throw new AppError('bad_data', `${messageOf(error)}; airboss help lists all flags`)
  }
  const { values, positionals } = parsed
  const [first = 'serve', ...rest] = positionals
  const named = values.help ? 'help' : values.version ? 'version' : first
  const command = commands.find((c) => c === named)
  if (!command)
    throw new AppError('bad_data', `no command ${JSON.stringify(named)}; there are ${commands.join(', ')}`)
  const takes = command === 'query' || command === 'test-rules' || command === 'costs'
  if (rest.length > 0 && !takes)
    throw new AppError(
      'bad_data',
      `${command} takes no ${JSON.stringify(rest[0])}; airboss help lists the commands`,
    )
  const flags: Flags = {
    config: values.config,
    data: values.data,
    listen: values.listen,
    otlpHttp: values['otlp-http'],
    otlpGrpc: values['otlp-grpc'],
    clickhouse: values.clickhouse,
    logLevel: values['log-level'],
  }
  const { server, out, grafana, 'token-env': tokenEnv, time, from, to, format } = values
  return { command, flags, rest, options: { server, out, grafana, tokenEnv, time, from, to, format } }
}

const parse = (argv: readonly string[]) =>
  parseArgs({ args: [...argv], options, allowPositionals: true, strict: true })
