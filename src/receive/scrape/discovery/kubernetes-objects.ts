// What discovery reads of Kubernetes objects.

export interface ObjectMeta {
  readonly name: string
  readonly namespace?: string
  readonly uid?: string
  readonly resourceVersion?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly ownerReferences?: readonly {
    readonly kind: string
    readonly name: string
    readonly controller?: boolean
  }[]
}

export interface KubeObject {
  readonly metadata: ObjectMeta
}

export interface ObjectReference {
  readonly kind?: string
  readonly namespace?: string
  readonly name?: string
}

interface Condition {
  readonly type: string
  readonly status: string
}

export interface Container {
  readonly name: string
  readonly image?: string
  readonly ports?: readonly {
    readonly containerPort: number
    readonly name?: string
    readonly protocol?: string
  }[]
}

export interface ContainerStatus {
  readonly name: string
  readonly containerID?: string
}

export interface Pod extends KubeObject {
  readonly spec?: {
    readonly nodeName?: string
    readonly containers?: readonly Container[]
    readonly initContainers?: readonly Container[]
  }
  readonly status?: {
    readonly podIP?: string
    readonly hostIP?: string
    readonly phase?: string
    readonly conditions?: readonly Condition[]
    readonly containerStatuses?: readonly ContainerStatus[]
    readonly initContainerStatuses?: readonly ContainerStatus[]
  }
}

export interface Node extends KubeObject {
  readonly spec?: { readonly providerID?: string }
  readonly status?: {
    readonly conditions?: readonly Condition[]
    readonly addresses?: readonly { readonly type: string; readonly address: string }[]
    readonly daemonEndpoints?: { readonly kubeletEndpoint?: { readonly Port?: number } }
  }
}

export interface Service extends KubeObject {
  readonly spec?: {
    readonly type?: string
    readonly clusterIP?: string
    readonly externalName?: string
    readonly loadBalancerIP?: string
    readonly ipFamilyPolicy?: string
    readonly ipFamilies?: readonly string[]
    readonly ports?: readonly { readonly port: number; readonly name?: string; readonly protocol?: string }[]
  }
  readonly status?: { readonly loadBalancer?: { readonly ingress?: readonly { readonly ip?: string }[] } }
}

interface EndpointAddress {
  readonly ip: string
  readonly hostname?: string
  readonly nodeName?: string
  readonly targetRef?: ObjectReference
}

export interface Endpoints extends KubeObject {
  readonly subsets?: readonly {
    readonly addresses?: readonly EndpointAddress[]
    readonly notReadyAddresses?: readonly EndpointAddress[]
    readonly ports?: readonly { readonly port: number; readonly name?: string; readonly protocol?: string }[]
  }[]
}

export interface EndpointSlice extends KubeObject {
  readonly addressType?: string
  readonly endpoints?: readonly {
    readonly addresses?: readonly string[]
    readonly conditions?: {
      readonly ready?: boolean
      readonly serving?: boolean
      readonly terminating?: boolean
    }
    readonly hostname?: string
    readonly nodeName?: string
    readonly zone?: string
    readonly targetRef?: ObjectReference
    readonly deprecatedTopology?: Readonly<Record<string, string>>
  }[]
  readonly ports?: readonly {
    readonly name?: string
    readonly port?: number
    readonly protocol?: string
    readonly appProtocol?: string
  }[]
}

export interface Ingress extends KubeObject {
  readonly spec?: {
    readonly ingressClassName?: string
    readonly tls?: readonly { readonly hosts?: readonly string[] }[]
    readonly rules?: readonly {
      readonly host?: string
      readonly http?: { readonly paths?: readonly { readonly path?: string }[] }
    }[]
  }
}
