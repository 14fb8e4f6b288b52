// Debian's Prometheus programs beside the product: whether they are there, started on free ports, asked, ended.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { until } from './until.ts'

/** Says aloud which of the programs is missing; false then. */
export const allThere = (...programs: readonly string[]): boolean =>
  programs.every((program) => {
    const there = spawnSync(program, ['--version']).error === undefined
    if (!there)
      process.stderr.write(
        `SKIPPED: ${program} is not on PATH; apt-get install prometheus prometheus-node-exporter prometheus-pushgateway prometheus-blackbox-exporter prometheus-alertmanager\n`,
      )
    return there
  })

export const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })

export interface Peer {
  readonly url: string
  stop(): Promise<void>
}

/** Starts a program that is to answer on `url` + `path`; throws what it said when it does not. */
export const startPeer = async (
  program: string,
  args: readonly string[],
  url: string,
  path: string,
): Promise<Peer> => {
  const child: ChildProcess = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL')
    await ended
  }
  try {
    await until(
      program,
      () =>
        fetch(url + path).then(
          (r) => r.ok,
          () => false,
        ),
      20_000,
    )
  } catch (error) {
    await stop()
    throw new Error(`${program} did not come up: ${said.slice(-1000)}`, { cause: error })
  }
  return { url, stop }
}
