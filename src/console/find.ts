// What the find dialog finds: alerts, agents, rules and metrics whose names hold every word.
import type { ConsoleDoors } from './doors.ts'
import type { Picture } from './picture.ts'

export interface Found {
  readonly name: string
  readonly kind: 'page' | 'alert' | 'agent' | 'rule' | 'metric'
  readonly href: string
}

const most = 20
const pages: readonly Found[] = [
  { name: 'Now', kind: 'page', href: '/' },
  { name: 'Alerts', kind: 'page', href: '/alerts' },
  { name: 'Decisions', kind: 'page', href: '/decisions' },
  { name: 'On call', kind: 'page', href: '/on-call' },
  { name: 'Explore', kind: 'page', href: '/explore' },
  { name: 'Rules', kind: 'page', href: '/rules' },
  { name: 'Ingest', kind: 'page', href: '/ingest' },
]

export const find = (doors: ConsoleDoors, p: Picture, text: string): readonly Found[] => {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean)
  const holds = (name: string): boolean => {
    const low = name.toLowerCase()
    return words.every((w) => low.includes(w))
  }
  const found: Found[] = []
  const add = (all: Iterable<Found>): void => {
    for (const f of all) {
      if (found.length >= most) return
      if (holds(f.name)) found.push(f)
    }
  }
  add(pages)
  if (words.length === 0) return found
  add(
    [...p.firing, ...p.pending].map((a) => ({
      name: a.subject ? `${a.name} ${a.subject}` : a.name,
      kind: 'alert',
      href: `/alerts#a-${a.id}`,
    })),
  )
  const span = { fromAt: (p.now - 86_400_000) as typeof p.now, toAt: p.now }
  const agents = new Set([
    ...doors.fleet().map((f) => f.deployment.agent),
    ...doors.index.values('gen_ai_agent_name', [], span),
    ...doors.index.values('agent', [], span),
  ])
  add(
    [...agents].map((name) => ({
      name,
      kind: 'agent',
      href: `/explore?expr=${encodeURIComponent(`agent_version:gen_ai_client_operations:rate5m{gen_ai_agent_name=${JSON.stringify(name)}}`)}`,
    })),
  )
  add(
    p.groups.flatMap((g) =>
      g.rules.map((r) => ({
        name: r.name,
        kind: 'rule' as const,
        href: `/explore?expr=${encodeURIComponent(r.query)}`,
      })),
    ),
  )
  add(
    doors.index
      .values('__name__', [], span)
      .map((name) => ({ name, kind: 'metric', href: `/explore?expr=${encodeURIComponent(name)}` })),
  )
  return found
}
