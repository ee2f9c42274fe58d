import type { Quotas } from '../access/quotas.ts'
import type { Context } from '../base/context.ts'
import type { DownloadOptions } from '../bytes/download.ts'
import type { DigestThreads } from '../bytes/digest-threads.ts'
import type { Database } from '../database/database.ts'
import type { Catalog } from '../images/catalog.ts'
import type { Stores } from '../stores/store.ts'
import type { Ledger } from '../tasks/ledger.ts'
import type { FindCertificate } from '../images/signature.ts'
import type { StagedData } from '../images/staged.ts'
import type { ImportMethod, MethodScene } from './method.ts'
import type { ImportStep } from './step.ts'
import type { WebRulesConfig } from './web-rules.ts'

/** Settings of imports: sections `import` and `image` of the configuration. */
export interface ImportConfig {
  readonly import: {
    readonly methods: readonly string[]
    readonly steps: readonly string[]
    readonly golden_format: string
    readonly inject: Readonly<Record<string, string>>
    readonly inject_ignore_roles: readonly string[]
    readonly parallel_stores: number
    readonly web: WebRulesConfig & { readonly retries: number }
    readonly glance_download_properties: readonly string[]
  }
  readonly image: {
    readonly disk_formats: readonly string[]
    readonly container_formats: readonly string[]
    readonly hash_algorithm: string
    readonly require_format_match: boolean
    readonly max_size: number
    readonly max_locations: number
    readonly secure_hash: boolean
  }
  readonly spoolDirectory: string
}

/** What imports stand on. */
export interface ImportParts {
  readonly database: Database
  readonly catalog: Catalog
  readonly ledger: Ledger
  readonly stores: Stores
  readonly quotas: Quotas
  readonly staged: StagedData
  /** Threads that digest, if they are shared. */
  readonly digests?: DigestThreads | undefined
  /** Keystone as the owner of a token, for glance-download; left out where there is none. */
  readonly openKeystone?: MethodScene['openKeystone']
  /** Certificates of those who sign images. */
  readonly findCertificate: FindCertificate
  /** How downloads go about it. Default: as `openDownload` does. */
  readonly download?: Omit<DownloadOptions, 'rules' | 'retries' | 'headers'>
  /** Every method and step there is; the configuration says which are offered, and in which order steps are run. */
  readonly methods: readonly ImportMethod[]
  readonly steps: readonly ImportStep[]
  readonly config: ImportConfig
  /** Tells a worker of a task; it would be found without, later. */
  readonly offer: (taskId: string) => Promise<void>
  readonly context: Context
}
