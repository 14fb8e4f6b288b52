// The whole demo: receiver, Airboss and fleet together; the fleet obeys what Airboss decides.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { type Cluster, startCluster } from './cluster.ts'
import { writeConfig } from './config.ts'
import { type Fleet, startFleet } from './fleet.ts'
import { startMishaps } from './mishaps.ts'
import { type Product, startProduct } from './product.ts'
import { type Call, startReceiver } from './receiver.ts'

export interface DemoOptions {
  readonly root: string
  /** Where everything is kept; left out = a temporary directory that goes away at the end. */
  readonly data?: string
  readonly anyPorts?: boolean
  /** Milliseconds from the fleet's start. */
  readonly breakAfter?: number
  readonly loopAfter?: number
  readonly loadAfter?: number
  readonly exportEvery?: number
  /** How often Airboss looks; a Prometheus duration. */
  readonly every?: string
  readonly shippedRules?: boolean
  /** Tells of the fleet as of pods in a cluster too. */
  readonly cluster?: boolean
  readonly say?: (line: string) => void
}

export interface Demo {
  readonly product: Product
  /** Everything the receiver got. */
  readonly calls: readonly Call[]
  readonly dir: string
  stop(): Promise<void>
}

/** Starts all; whatever had started is stopped again when a later part cannot. */
export const startDemo = async (options: DemoOptions): Promise<Demo> => {
  const { root, breakAfter = 30_000, loopAfter = 20_000, loadAfter = 40_000 } = options
  const { exportEvery = 1000, say = () => undefined } = options
  const dir = options.data ? resolve(options.data) : mkdtempSync(join(tmpdir(), 'airboss-demo-'))
  mkdirSync(dir, { recursive: true })
  const ends: (() => Promise<void> | void)[] = []
  const stop = async (): Promise<void> => {
    for (const end of ends.splice(0).reverse()) await end()
  }
  if (!options.data) ends.push(() => rmSync(dir, { recursive: true, force: true }))
  try {
    let fleet: Fleet | null = null
    const secret = 'demo-secret'
    const receiver = await startReceiver({
      secret,
      say,
      // Mara is asleep: after 15 s Jonas is paged, who answers.
      answers: { jonas: 4000 },
      act: (action) => fleet?.act(action),
    })
    ends.push(receiver.close)
    const cluster: Cluster | null = options.cluster ? await startCluster(dir) : null
    if (cluster) ends.push(cluster.stop)
    const config = writeConfig({
      cluster,
      dir,
      root,
      receiver: receiver.url,
      secret,
      every: options.every ?? '2s',
      shippedRules: options.shippedRules ?? true,
    })
    const product = await startProduct({
      root,
      data: join(dir, 'data'),
      config,
      log: join(dir, 'airboss.log'),
      anyPorts: options.anyPorts ?? false,
    })
    ends.push(product.stop)
    const { http, otlpHttp, otlpGrpc } = product
    fleet = startFleet({ http, otlpHttp, otlpGrpc, root, exportEvery, breakAfter, loopAfter, loadAfter, say })
    ends.push(fleet.stop)
    cluster?.run(fleet.members)
    const mishaps = startMishaps(product, 3000)
    ends.push(mishaps.stop)
    return { product, calls: receiver.calls, dir, stop }
  } catch (error) {
    await stop()
    throw error
  }
}
