// A pod that runs an agent: the tie between the fleet and the cluster.
import type { Instant } from '../lib/time.ts'

export interface AgentPod {
  readonly agent: string
  /** '' where the pod does not say. */
  readonly version: string
  readonly namespace: string
  readonly pod: string
  readonly uid: string
  /** The agent's container. */
  readonly container: string
  readonly node: string
  /** `Deployment`, `StatefulSet` …; '' for a pod on its own. */
  readonly ownerKind: string
  readonly ownerName: string
  readonly phase: string
  readonly ready: boolean
  /** Of the agent's container. */
  readonly restarts: number
  /** Why it waits or last ended: `CrashLoopBackOff`, `OOMKilled` …; '' where all is well. */
  readonly reason: string
  readonly startedAt: Instant | null
}

export interface AgentPods {
  /** The pods of one agent, or of all. */
  list(agent?: string): readonly AgentPod[]
  /** Whether the cluster was heard of lately. */
  fresh(): boolean
}
