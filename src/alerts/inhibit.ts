// Inhibition: an alert is held back while another one, which explains it, fires.
import type { Instant } from '../lib/time.ts'
import { type Alert, isResolved } from '../model/alert.ts'
import type { Matcher } from '../model/matcher.ts'
import { type LabelSet, matcherTest } from './matchers.ts'

export interface InhibitRuleConfig {
  readonly name: string
  readonly sources: readonly Matcher[]
  readonly targets: readonly Matcher[]
  readonly equal: readonly string[]
}

interface Rule {
  readonly isSource: (labels: LabelSet) => boolean
  readonly isTarget: (labels: LabelSet) => boolean
  readonly equal: readonly string[]
  /** Firing sources by the values of the `equal` labels. */
  readonly sources: Map<string, Map<string, Alert>>
}

const valuesOf = (equal: readonly string[], labels: LabelSet): string =>
  equal.map((name) => labels[name] ?? '').join('\u00ff')

export interface Inhibitor {
  /** Takes note of an alert that came, changed or resolved. */
  note(fingerprint: string, alert: Alert): void
  forget(fingerprint: string, alert: Alert): void
  /** Fingerprints of the firing alerts that hold this one back. */
  inhibitedBy(labels: LabelSet, now: Instant): string[]
}

/** Looks sources up by their `equal` labels, so that a check costs the rules, not the alerts. A missing label equals an empty one. */
export const createInhibitor = (rules: readonly InhibitRuleConfig[]): Inhibitor => {
  const made: Rule[] = rules.map((r) => ({
    isSource: matcherTest(r.sources),
    isTarget: matcherTest(r.targets),
    equal: r.equal,
    sources: new Map(),
  }))
  const note = (fingerprint: string, alert: Alert): void => {
    for (const rule of made) {
      if (!rule.isSource(alert.labels)) continue
      const key = valuesOf(rule.equal, alert.labels)
      const sources = rule.sources.get(key) ?? new Map<string, Alert>()
      sources.set(fingerprint, alert)
      rule.sources.set(key, sources)
    }
  }
  const forget = (fingerprint: string, alert: Alert): void => {
    for (const rule of made) {
      const key = valuesOf(rule.equal, alert.labels)
      const sources = rule.sources.get(key)
      if (sources?.delete(fingerprint) && sources.size === 0) rule.sources.delete(key)
    }
  }
  const inhibitedBy = (labels: LabelSet, now: Instant): string[] => {
    const found = new Set<string>()
    for (const rule of made) {
      if (!rule.isTarget(labels)) continue
      // One that is on both sides itself is not held back by another such one: two of them would silence each other.
      const both = rule.isSource(labels)
      for (const [fingerprint, source] of rule.sources.get(valuesOf(rule.equal, labels)) ?? []) {
        if (!isResolved(source, now) && !(both && rule.isTarget(source.labels))) found.add(fingerprint)
      }
    }
    return [...found].sort()
  }
  return { note, forget, inhibitedBy }
}
