/**
 * The image service, put together: what the server's routes (`http`) call. `openService` (`open-service.ts`)
 * opens everything from the configuration, and closing it closes everything, in order.
 */
import type { Authenticator, Policy } from '../access/caller.ts'
import type { PropertyProtections } from '../access/protections.ts'
import type { Quotas } from '../access/quotas.ts'
import type { Context } from '../base/context.ts'
import type { Database } from '../database/database.ts'
import type { Factory } from '../factory/factory.ts'
import type { RecipeRuns } from '../factory/recipe-runs.ts'
import type { Catalog } from '../images/catalog.ts'
import type { ImageContent } from '../images/image-content.ts'
import type { Images } from '../images/images.ts'
import type { Uploads } from '../images/upload.ts'
import type { Imports } from '../imports/imports.ts'
import type { Metadefs } from '../metadefs/metadefs.ts'
import type { ContentCache } from '../stores/content-cache.ts'
import type { Stores } from '../stores/store.ts'
import type { Ledger } from '../tasks/ledger.ts'
import type { ImageKeys } from './open-image-keys.ts'
import type { ServiceConfig } from './service-config.ts'

export interface Service extends AsyncDisposable {
  readonly config: ServiceConfig
  readonly context: Context
  readonly database: Database
  /** Who asks, and what they may do. */
  readonly authenticator: Authenticator
  readonly policy: Policy
  readonly protections: PropertyProtections
  readonly quotas: Quotas
  /** Records. */
  readonly catalog: Catalog
  readonly images: Images
  /** Certificates and keys that images speak of. */
  readonly imageKeys: ImageKeys
  readonly metadefs: Metadefs
  readonly ledger: Ledger
  /** Data. */
  readonly stores: Stores
  readonly uploads: Uploads
  readonly content: ImageContent
  readonly imports: Imports
  /** Base, target and provider images, and recipes that are run behind the API. */
  readonly factory: Factory
  readonly recipeRuns: RecipeRuns
  /** Undefined when nothing is cached. */
  readonly cache: ContentCache | undefined
}
