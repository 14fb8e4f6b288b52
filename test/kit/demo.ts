// `npm run demo`: Airboss with a small real fleet, told line by line until Ctrl-C.
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startDemo } from './fleet/demo.ts'
import { summarise } from './fleet/summary.ts'

const usage = `npm run demo -- [flags]

  --data DIR        keep everything there (default: a temporary directory that goes away)
  --seconds N       end by itself after N seconds (default: at Ctrl-C)
  --break-after N   seconds until the new version of the pilot breaks (30)
  --load-after N    seconds until load rises (40)
`

const read = () => {
  try {
    const { values } = parseArgs({
      options: {
        data: { type: 'string' },
        seconds: { type: 'string' },
        'break-after': { type: 'string', default: '30' },
        'load-after': { type: 'string', default: '40' },
        help: { type: 'boolean', short: 'h' },
      },
    })
    for (const name of ['seconds', 'break-after', 'load-after'] as const)
      if (values[name] !== undefined && !(Number(values[name]) >= 0))
        throw new Error(`--${name} ${values[name]} is no number of seconds`)
    return values
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${usage}`)
    return process.exit(2)
  }
}

const values = read()
if (values.help) {
  process.stdout.write(usage)
  process.exit(0)
}
let startedAt = Date.now()
const say = (line: string): void => {
  const seconds = Math.floor((Date.now() - startedAt) / 1000)
  const clock = [Math.floor(seconds / 60), seconds % 60].map((n) => String(n).padStart(2, '0')).join(':')
  process.stdout.write(`${clock} ${line}\n`)
}
const asked = new Promise<void>((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve())
})

say('Airboss starts')
const demo = await startDemo({
  root: join(dirname(fileURLToPath(import.meta.url)), '../..'),
  ...(values.data ? { data: values.data } : {}),
  breakAfter: Number(values['break-after']) * 1000,
  loadAfter: Number(values['load-after']) * 1000,
  say: (line) => say(line),
}).catch((error: Error) => {
  say(error.message)
  return process.exit(1)
})
startedAt = Date.now()
say(
  `console ${demo.product.http} · OTLP ${demo.product.otlpHttp}, ${demo.product.otlpGrpc} · log ${demo.dir}/airboss.log`,
)
say('pilot 2.0.0 and its canary 2.1.0, scout 1.4.0, clerk 0.9.0 and ranger 0.3.0 work; Ctrl-C ends it')
const tell = async (): Promise<void> => {
  for (const line of await summarise(demo.product, demo.calls)) say(line)
}
// Once when the story has been told, and again at the end.
const told = setTimeout(() => void tell(), 120_000)
let code = 0
let ending = false
await Promise.race([
  asked,
  demo.product.ended.then((status) => {
    if (ending) return
    say(`Airboss ended by itself with ${status}`)
    code = 1
  }),
  ...(values.seconds ? [new Promise((resolve) => setTimeout(resolve, Number(values.seconds) * 1000))] : []),
])
ending = true
clearTimeout(told)
if (code === 0) await tell()
say('everything ends')
await demo.stop()
process.exit(code)
