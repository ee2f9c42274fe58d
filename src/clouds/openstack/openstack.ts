/**
 * An OpenStack cloud as one user of it sees it: its image, compute, network and volume services, each as far as images
 * are made and kept there. Answers are plain facts in our own spelling. `open-openstack.ts` opens one; `image.ts`,
 * `compute.ts`, `network.ts` and `volume.ts` say what each service does.
 *
 * All functions fail with CLOUD_AWAY (after some tries), CLOUD_DENIED, CLOUD_FULL (a quota), CLOUD_NOT_FOUND, CLOUD_FAILED
 * (all else, in the cloud's words), ENDPOINT_UNKNOWN (no such service there), KEYSTONE_AWAY, KEYSTONE_DENIED and INTERRUPTED.
 */
import type { ComputeService } from './compute.ts'
import type { ImageService } from './image.ts'
import type { NetworkService } from './network.ts'
import type { VolumeService } from './volume.ts'

export type OpenStackService = 'compute' | 'image' | 'network' | 'block-storage'

export interface OpenStackServices {
  /** The cloud's name in clouds.yaml, or where its Keystone is: for people. */
  readonly name: string
  readonly compute: ComputeService
  readonly image: ImageService
  readonly network: NetworkService
  readonly volume: VolumeService
  /** Whether there is such a service. */
  has(service: OpenStackService): Promise<boolean>
  /** The id of the project that the token is for; undefined without Keystone. */
  projectId(): Promise<string | undefined>
}

/** The client, with its connections and its token. */
export interface OpenStack extends OpenStackServices, AsyncDisposable {
  /** The same services over the same connections, for work that ends when the signal is aborted. */
  during(signal: AbortSignal): OpenStackServices
}
