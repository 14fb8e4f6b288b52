// How the Kubernetes API is reached: as the cluster tells its pods, by a kubeconfig file, or by an address with its own credentials.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError, messageOf } from '../../../lib/errors.ts'
import { type KubernetesApi, kubernetesOver, openKubernetes } from '../../../lib/kubernetes.ts'
import { type ClientDeps, createClient } from '../client.ts'
import type { KubernetesSdConfig } from '../discovery-config.ts'
import type { HttpConfig } from '../http-config.ts'

export interface Cluster {
  readonly api: KubernetesApi
  /** The pod's own namespace, '' where it was not asked for. */
  readonly ownNamespace: string
}

const inCluster = (config: KubernetesSdConfig, dir: string): HttpConfig => ({
  ...config,
  authorization: { type: 'Bearer', credentials_file: join(dir, 'token') },
  tls_config: { ca_file: join(dir, 'ca.crt'), insecure_skip_verify: false },
})

/** Connects; throws `bad_data` that names what is missing. Nothing is asked of the API yet. */
export const connectCluster = async (
  config: KubernetesSdConfig,
  deps: ClientDeps & { readonly serviceAccount: string },
): Promise<Cluster> => {
  const { api_server: given, kubeconfig_file, environment } = config
  if (kubeconfig_file !== undefined) {
    const access = { kubeconfig_file, tls_config: { insecure_skip_verify: false } }
    return { api: await openKubernetes(access, { http: deps.connect, env: {} }), ownNamespace: '' }
  }
  const over = (server: string, as: HttpConfig): KubernetesApi =>
    kubernetesOver(server, 'default', createClient(as, deps))
  if (given !== undefined) return { api: over(given, config), ownNamespace: '' }
  if (environment.apiServer === '')
    throw new AppError(
      'bad_data',
      'Airboss does not run in a pod (KUBERNETES_SERVICE_HOST is not set); give api_server or kubeconfig_file',
    )
  const api = over(environment.apiServer, inCluster(config, deps.serviceAccount))
  if (!config.namespaces.own_namespace) return { api, ownNamespace: '' }
  const file = join(deps.serviceAccount, 'namespace')
  try {
    return { api, ownNamespace: (await readFile(file, 'utf8')).trim() }
  } catch (error) {
    throw new AppError('bad_data', `own_namespace: ${file}: ${messageOf(error)}`, { cause: error })
  }
}
