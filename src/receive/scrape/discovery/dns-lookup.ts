// Looks names up in DNS as a resolver library does: with the search list of /etc/resolv.conf, an answer that there is nothing told from a failure.
import { Resolver } from 'node:dns/promises'
import { readFile } from 'node:fs/promises'
import { AppError, messageOf } from '../../../lib/errors.ts'

export type RecordType = 'SRV' | 'A' | 'AAAA' | 'MX' | 'NS'

/** A record: the name or address it points to, and its port where it has one. */
export interface DnsRecord {
  readonly host: string
  readonly port?: number
}

export type DnsLookup = (name: string, type: RecordType) => Promise<DnsRecord[]>

interface Search {
  readonly domains: readonly string[]
  /** A name with at least so many dots is tried as it is first. */
  readonly dots: number
}

/** The search list in a resolv.conf's text. */
export const searchOf = (text: string): Search => {
  let domains: string[] = []
  let dots = 1
  for (const line of text.split('\n')) {
    const words = line
      .replace(/[#;].*$/, '')
      .trim()
      .split(/\s+/)
    if (words[0] === 'search' || words[0] === 'domain') domains = words.slice(1)
    for (const word of words[0] === 'options' ? words : []) {
      const n = /^ndots:(\d+)$/.exec(word)?.[1]
      if (n !== undefined) dots = Math.min(Number(n), 15)
    }
  }
  return { domains, dots }
}

/** The names to try for one that is written, in order. */
export const candidates = (name: string, { domains, dots }: Search): string[] => {
  if (name.endsWith('.')) return [name]
  const searched = domains.map((d) => `${name}.${d.replace(/\.$/, '')}`)
  return name.split('.').length - 1 >= dots ? [name, ...searched] : [...searched, name]
}

const ask = async (resolver: Resolver, name: string, type: RecordType): Promise<DnsRecord[]> => {
  switch (type) {
    case 'SRV':
      return (await resolver.resolveSrv(name)).map((r) => ({ host: r.name, port: r.port }))
    case 'MX':
      return (await resolver.resolveMx(name)).map((r) => ({ host: r.exchange }))
    case 'NS':
      return (await resolver.resolveNs(name)).map((host) => ({ host }))
    case 'A':
      return (await resolver.resolve4(name)).map((host) => ({ host }))
    default:
      return (await resolver.resolve6(name)).map((host) => ({ host }))
  }
}

const nothing: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA'])

/**
 * A lookup through `servers` (address:port), the system's where none are given. No records is an empty list; a server that fails or does not
 * answer throws `unavailable`.
 */
export const createDnsLookup = (
  options: { servers?: readonly string[]; resolvConf?: string } = {},
): DnsLookup => {
  const { servers, resolvConf = '/etc/resolv.conf' } = options
  return async (name, type) => {
    const search = searchOf(await readFile(resolvConf, 'utf8').catch(() => ''))
    const resolver = new Resolver({ timeout: 3000, tries: 2 })
    if (servers) resolver.setServers(servers)
    let failure: unknown = null
    for (const candidate of candidates(name, search)) {
      try {
        const found = await ask(resolver, candidate.replace(/\.$/, ''), type)
        if (found.length > 0) return found
      } catch (error) {
        if (!nothing.has((error as NodeJS.ErrnoException).code ?? '')) failure = error
      }
    }
    // Nothing was found, and not everywhere it was looked for there was an answer: what is known stays.
    if (failure !== null)
      throw new AppError('unavailable', `lookup of ${type} ${name}: ${messageOf(failure)}`, {
        cause: failure,
      })
    return []
  }
}
