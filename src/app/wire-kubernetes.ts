// One connection to the cluster, opened when first needed, for those who watch it and those who act in it.
import { AppError } from '../lib/errors.ts'
import { createHttp } from '../lib/http.ts'
import { type KubernetesApi, openKubernetes, resolvedAccess } from '../lib/kubernetes.ts'
import { environment, type Settings } from './config.ts'

export interface Kubernetes {
  /** Rejects `bad_data` when there is no cluster to be found; the next call looks again. */
  readonly api: () => Promise<KubernetesApi>
  close(): Promise<void>
}

/** Null where no cluster is configured. */
export const wireKubernetes = ({ config, file }: Settings): Kubernetes | null => {
  const { kubernetes } = config
  if (!kubernetes) return null
  let opened: Promise<KubernetesApi> | null = null
  let closed = false
  return {
    api: () => {
      if (closed) return Promise.reject(new AppError('canceled', 'stopping'))
      opened ??= openKubernetes(resolvedAccess(kubernetes, file), { http: createHttp, env: environment() })
      void opened.catch(() => {
        opened = null
      })
      return opened
    },
    close: async () => {
      closed = true
      const api = await opened?.catch(() => null)
      await api?.close()
    },
  }
}
