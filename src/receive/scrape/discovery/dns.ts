// dns_sd_configs: targets from the records of names.
import type { DnsSdConfig } from '../discovery-config.ts'
import type { TargetGroup } from '../target.ts'
import { type Discoverer, hostPort, type RefreshDeps, refreshing } from './discoverer.ts'
import type { DnsLookup, DnsRecord } from './dns-lookup.ts'

const bare = (name: string): string => name.replace(/\.+$/, '')

const targetOf = (name: string, { type, port }: DnsSdConfig, record: DnsRecord): Record<string, string> => {
  const at = record.port ?? port
  // Records name hosts with the dot that ends a full name, which Prometheus shows.
  const full = `${bare(record.host)}.`
  return {
    __address__: hostPort(bare(record.host), at),
    __meta_dns_name: name,
    __meta_dns_srv_record_target: type === 'SRV' ? full : '',
    __meta_dns_srv_record_port: type === 'SRV' ? String(at) : '',
    __meta_dns_mx_record_target: type === 'MX' ? full : '',
    __meta_dns_ns_record_target: type === 'NS' ? full : '',
  }
}

/** A name that cannot be looked up keeps its old targets; one that has no records has none. */
export const createDnsDiscovery = (
  config: DnsSdConfig,
  deps: RefreshDeps & { readonly lookup: DnsLookup },
): Discoverer => {
  const { clock, report, lookup } = deps
  return {
    start: (update, signal) => {
      const one = async (name: string): Promise<void> => {
        try {
          const records = await lookup(name, config.type)
          const group: TargetGroup = {
            source: name,
            targets: records.map((record) => targetOf(name, config, record)),
            labels: {},
          }
          if (signal.aborted) return
          update([group])
          report.worked(name)
        } catch (error) {
          if (!signal.aborted) report.failed(name, error)
        }
      }
      return refreshing(clock, config.refresh_interval, signal, async () => {
        await Promise.all(config.names.map(one))
      })
    },
  }
}
