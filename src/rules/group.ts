// Rule groups, pure: when they are evaluated, and which rules survive a reload.
import { hash64 } from '../lib/hash.ts'
import type { Rule, RuleGroup } from './rule-file.ts'

export const groupKey = (group: Pick<RuleGroup, 'file' | 'name'>): string => `${group.file};${group.name}`

/** Where in its interval a group is evaluated: spread by a hash of file and name, the same after every restart. */
export const groupOffset = (group: Pick<RuleGroup, 'file' | 'name' | 'interval'>): number =>
  Number(BigInt(`0x${hash64([group.file, group.name])}`) % BigInt(group.interval))

/** What makes two versions of a rule the same one, so that its state goes on: kind, name and labels. */
export const ruleIdentity = (rule: Rule): string =>
  JSON.stringify([rule.kind, rule.name, Object.entries(rule.labels).sort(([a], [b]) => (a < b ? -1 : 1))])

/** Whether a group is unchanged, so that it runs on untouched. */
export const sameGroup = (a: RuleGroup, b: RuleGroup): boolean => groupText(a) === groupText(b)

const groupText = (group: RuleGroup): string =>
  JSON.stringify(group, (key, value: unknown) => (key === 'reads' ? undefined : value))

/** Pairs rules with the old state of the same identity, in order: two rules of one identity keep theirs apart. */
export const carryOver = <T>(
  old: readonly { identity: string; state: T }[],
  rules: readonly Rule[],
): (T | undefined)[] => {
  const left = new Map<string, T[]>()
  for (const { identity, state } of old) {
    const queue = left.get(identity)
    if (queue) queue.push(state)
    else left.set(identity, [state])
  }
  return rules.map((rule) => left.get(ruleIdentity(rule))?.shift())
}
