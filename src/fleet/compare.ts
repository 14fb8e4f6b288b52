// Compares what agents need with what runs, and one version with another.
import semver from 'semver'
import type { Deployment } from '../model/deployment.ts'

export interface Unmet {
  /** Who needs it. */
  readonly agent: string
  readonly version: string
  readonly needs: string
  readonly range: string
  readonly problem: 'missing' | 'unsatisfied' | 'bad_range' | 'bad_version'
  /** In words, with the mend. */
  readonly why: string
}

export interface Difference {
  readonly capabilities: { readonly added: readonly string[]; readonly removed: readonly string[] }
  readonly dependencies: {
    readonly added: readonly string[]
    readonly removed: readonly string[]
    /** `search: ^1.0.0 → ^2.0.0`. */
    readonly changed: readonly string[]
  }
  readonly model: { readonly from: string; readonly to: string } | null
}

const options = { includePrerelease: true, loose: true }

const unmet = (d: Deployment, needs: string, range: string, running: readonly Deployment[]): Unmet | null => {
  const of = { agent: d.agent, version: d.version, needs, range }
  const who = `${d.agent} ${d.version} needs ${needs} ${range}`
  if (semver.validRange(range, options) === null)
    return { ...of, problem: 'bad_range', why: `${who}: that is no range; write it as ^1.2.0 or >=1 <3` }
  const found = running.filter((r) => r.agent === needs)
  if (found.length === 0)
    return {
      ...of,
      problem: 'missing',
      why: `${who}: no ${needs} is deployed; declare it, or take the dependency away`,
    }
  const valid = found.filter((r) => semver.valid(r.version, options) !== null)
  const versions = found.map((r) => r.version).join(', ')
  if (valid.length === 0)
    return {
      ...of,
      problem: 'bad_version',
      why: `${who}: ${versions} is no semantic version, so the range cannot be checked`,
    }
  const fitting = valid.filter((r) => semver.satisfies(r.version, range, options))
  // Every version that runs may be met: a canary that does not fit breaks those who reach it.
  if (fitting.length === valid.length) return null
  const bad = valid.filter((r) => !fitting.includes(r)).map((r) => r.version)
  return {
    ...of,
    problem: 'unsatisfied',
    why: `${who}, and ${needs} ${bad.join(', ')} runs${fitting.length > 0 ? ` beside ${fitting.map((r) => r.version).join(', ')}` : ''}`,
  }
}

/** What of a deployment's dependencies is missing or does not fit; empty when all is well. */
export const unmetBy = (d: Deployment, running: readonly Deployment[]): readonly Unmet[] =>
  Object.entries(d.dependencies).flatMap(([needs, range]) => unmet(d, needs, range, running) ?? [])

const minus = (a: readonly string[], b: readonly string[]): string[] => a.filter((x) => !b.includes(x)).sort()

/** What changes from one version to the other. */
export const differenceOf = (from: Deployment, to: Deployment): Difference => {
  const before = Object.keys(from.dependencies)
  const after = Object.keys(to.dependencies)
  const changed = before
    .filter((n) => n in to.dependencies && to.dependencies[n] !== from.dependencies[n])
    .sort()
    .map((n) => `${n}: ${from.dependencies[n]} → ${to.dependencies[n]}`)
  return {
    capabilities: {
      added: minus(to.capabilities, from.capabilities),
      removed: minus(from.capabilities, to.capabilities),
    },
    dependencies: { added: minus(after, before), removed: minus(before, after), changed },
    model: from.model === to.model ? null : { from: from.model, to: to.model },
  }
}

/** Newest first: by semantic version where both are one, else by text. */
export const byVersion = (a: Deployment, b: Deployment): number =>
  semver.valid(a.version, options) && semver.valid(b.version, options)
    ? semver.rcompare(a.version, b.version, options)
    : b.version.localeCompare(a.version, 'en')
