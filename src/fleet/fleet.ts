// What runs: deployments from the configuration and those declared by API, with what they need of each other.
import type { Clock } from '../lib/clock.ts'
import { AppError } from '../lib/errors.ts'
import type { Instant } from '../lib/time.ts'
import type { Actor } from '../model/actor.ts'
import { type Deployment, deploymentSchema } from '../model/deployment.ts'
import type { Ledger } from '../model/ports/ledger.ts'
import { byVersion, type Difference, differenceOf, type Unmet, unmetBy } from './compare.ts'

interface FleetDeps {
  readonly ledger: Ledger
  /** From the configuration file; read anew by `configure` on a reload. */
  readonly configured: readonly Deployment[]
  readonly clock: Clock
}

export interface FleetEntry {
  /** `agent@version`. */
  readonly id: string
  readonly deployment: Deployment
  readonly source: 'file' | 'api'
  /** When it was declared; for those of the file when this process read it. */
  readonly at: Instant
  readonly by: string
}

export interface Fleet {
  /** All deployments by agent, newest version first. */
  list(): readonly FleetEntry[]
  /** The versions of one agent, newest first. */
  get(agent: string): readonly FleetEntry[]
  /** Adds or replaces a version. `bad_data` for what is no deployment, `conflict` for one the file declares. */
  declare(deployment: unknown, by: Actor, why: string): Promise<FleetEntry>
  /** `not_found`, or `conflict` for one that the file declares. */
  remove(agent: string, version: string, by: Actor, why: string): Promise<void>
  /** Every dependency that is missing or does not fit, of one agent or of all. */
  compatibility(agent?: string): readonly Unmet[]
  /** What changes between two versions of an agent. `not_found` when one is not declared. */
  difference(agent: string, from: string, to: string): Difference
  /** Replicas that an agent's versions are declared to have together; null when none says. */
  replicas(agent: string): number | null
  /** Puts others in the place of the configured ones. */
  configure(configured: readonly Deployment[]): void
}

const kind = 'deployment'
const most = 5000
const idOf = (agent: string, version: string): string => `${agent}@${version}`

class DeclaredFleet implements Fleet {
  readonly #ledger: Ledger
  readonly #clock: Clock
  #configured = new Map<string, FleetEntry>()

  constructor({ ledger, configured, clock }: FleetDeps) {
    this.#ledger = ledger
    this.#clock = clock
    this.configure(configured)
  }

  configure(configured: readonly Deployment[]): void {
    const at = this.#clock.now()
    const next = new Map<string, FleetEntry>()
    for (const deployment of configured) {
      const id = idOf(deployment.agent, deployment.version)
      // What stays keeps the time it came.
      next.set(id, { id, deployment, source: 'file', at: this.#configured.get(id)?.at ?? at, by: 'file' })
    }
    this.#configured = next
  }

  list(): readonly FleetEntry[] {
    const entries = [...this.#configured.values()]
    // The file wins: what it says can be read there.
    for (const { id, value, at, by } of this.#ledger.list<Deployment>(kind))
      if (value && !this.#configured.has(id)) entries.push({ id, deployment: value, source: 'api', at, by })
    return entries.sort(
      (a, b) =>
        a.deployment.agent.localeCompare(b.deployment.agent, 'en') || byVersion(a.deployment, b.deployment),
    )
  }

  get(agent: string): readonly FleetEntry[] {
    return this.list().filter((e) => e.deployment.agent === agent)
  }

  async declare(deployment: unknown, by: Actor, why: string): Promise<FleetEntry> {
    const parsed = deploymentSchema.safeParse(deployment)
    if (!parsed.success) {
      const issues = parsed.error.issues.map((i) => `${i.path.join('.') || 'deployment'}: ${i.message}`)
      throw new AppError('bad_data', issues.join('; '))
    }
    const { data } = parsed
    if (data.canary?.baseline === data.version)
      throw new AppError(
        'bad_data',
        'canary.baseline: is the version itself; name the version it shall replace',
      )
    const id = idOf(data.agent, data.version)
    this.#refuseConfigured(id)
    const known = this.#ledger.get(kind, id)
    if (!known && this.#ledger.list(kind).length >= most)
      throw new AppError('too_many', `${most} deployments are declared; remove some first`)
    const { at } = await this.#ledger.put(kind, id, data, { by, why })
    return { id, deployment: data, source: 'api', at, by: by.id }
  }

  async remove(agent: string, version: string, by: Actor, why: string): Promise<void> {
    const id = idOf(agent, version)
    this.#refuseConfigured(id)
    const known = this.#ledger.get(kind, id)
    if (!known) throw new AppError('not_found', `${id} is not declared`)
    await this.#ledger.put(kind, id, null, { by, why, expect: known.version })
  }

  #refuseConfigured(id: string): void {
    if (this.#configured.has(id))
      throw new AppError('conflict', `${id} is declared in the configuration file; change it there`)
  }

  compatibility(agent?: string): readonly Unmet[] {
    const running = this.list().map((e) => e.deployment)
    return running.filter((d) => agent === undefined || d.agent === agent).flatMap((d) => unmetBy(d, running))
  }

  difference(agent: string, from: string, to: string): Difference {
    return differenceOf(this.#one(agent, from), this.#one(agent, to))
  }

  #one(agent: string, version: string): Deployment {
    const entry = this.get(agent).find((e) => e.deployment.version === version)
    if (!entry) throw new AppError('not_found', `${idOf(agent, version)} is not declared`)
    return entry.deployment
  }

  replicas(agent: string): number | null {
    const counts = this.get(agent).flatMap((e) => e.deployment.resources.replicas ?? [])
    return counts.length === 0 ? null : counts.reduce((a, b) => a + b, 0)
  }
}

/** The fleet as it is declared: the file's deployments, and the ledger's. */
export const createFleet = (deps: FleetDeps): Fleet => new DeclaredFleet(deps)
