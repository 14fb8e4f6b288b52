// Reads the command line, runs the command, turns signals and errors into an exit code.
import { readArguments } from './app/arguments.ts'
import { run } from './app/commands.ts'
import { AppError, messageOf } from './lib/errors.ts'

const stop = new AbortController()
let asked = 0
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    // The second time means now.
    if (++asked > 1) process.exit(130)
    stop.abort(signal)
  })
}
const hangups: (() => void)[] = []
process.on('SIGHUP', () => {
  for (const run of hangups) run()
})

try {
  const code = await run(readArguments(process.argv.slice(2)), {
    stop: stop.signal,
    out: (line) => process.stdout.write(`${line}\n`),
    onHangup: (run) => hangups.push(run),
    pid: process.pid,
  })
  process.exit(code)
} catch (error) {
  process.stderr.write(`airboss: ${messageOf(error)}\n`)
  if (!(error instanceof AppError)) process.stderr.write(`${error instanceof Error ? error.stack : ''}\n`)
  process.exit(error instanceof AppError && error.code === 'bad_data' ? 2 : 1)
}
