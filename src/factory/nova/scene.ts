import type { OpenStackServices } from '../../clouds/openstack/openstack.ts'
import type { Job } from '../os-builder.ts'
import type { Belongings } from './belongings.ts'
import type { Choice } from './choose.ts'
import type { NovaOptions } from './nova-options.ts'

/** What all parts of a build work with. */
export interface Scene {
  readonly job: Job<NovaOptions>
  readonly options: NovaOptions
  readonly services: OpenStackServices
  readonly belongings: Belongings
  readonly choice: Choice
}
