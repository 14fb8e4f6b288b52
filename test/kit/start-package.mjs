// Starts the installed package in a folder and asks it one thing; plain Node, since the folder has nothing of ours but the package.
import { spawn } from 'node:child_process'
import { join } from 'node:path'

const [dir] = process.argv.slice(2)
const any = '127.0.0.1:0'
const child = spawn(
  join(dir, 'node_modules/.bin/airboss'),
  ['serve', '--data', join(dir, 'data'), '--listen', any, '--otlp-http', any, '--otlp-grpc', any, '--clickhouse', any],
  { cwd: dir, stdio: ['ignore', 'pipe', 'inherit'] },
)
const late = setTimeout(() => {
  console.error('the package did not say ready within 60 s')
  child.kill('SIGKILL')
  process.exit(1)
}, 60_000)
const ended = new Promise((resolve) => child.on('exit', resolve))
let said = ''
for await (const part of child.stdout) {
  said += part
  const line = said.split('\n').find((l) => l.includes('"msg":"ready"'))
  if (!line) continue
  const { http } = JSON.parse(line)
  const answer = await (await fetch(`${http}/api/v1/status/buildinfo`)).json()
  const page = await fetch(http)
  child.kill('SIGTERM')
  const code = await ended
  clearTimeout(late)
  console.log(`package: version ${answer.data.version}, console ${page.status}, ended with ${code}`)
  process.exit(answer.status === 'success' && page.status === 200 && code === 0 ? 0 : 1)
}
clearTimeout(late)
console.error('the package ended before it was ready')
process.exit(1)
