// Which role may do what.
import type { Verb } from '../model/ports/authorizer.ts'

export const roleNames = ['viewer', 'operator', 'admin'] as const
export type Role = (typeof roleNames)[number]

/** Things only an admin changes: who may do what, and the process itself. */
const guarded: ReadonlySet<string> = new Set(['access', 'config', 'process', 'ledger'])

const allowed: Readonly<Record<Role, ReadonlySet<Verb>>> = {
  viewer: new Set<Verb>(['read']),
  operator: new Set<Verb>(['read', 'write', 'act']),
  admin: new Set<Verb>(['read', 'write', 'act']),
}

/** Null when one of the roles allows it; else why not, with the role that would. */
export const mayAs = (roles: readonly Role[], verb: Verb, thing: string): string | null => {
  const admin = roles.includes('admin')
  if (admin) return null
  const needs = verb === 'read' ? 'viewer' : guarded.has(thing) ? 'admin' : 'operator'
  if (needs !== 'admin' && roles.some((role) => allowed[role].has(verb))) return null
  const has = roles.length === 0 ? 'no role' : `the role ${roles.join(', ')}`
  return `${verb} on ${thing} needs the role ${needs}; this one has ${has}`
}
