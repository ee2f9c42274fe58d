import type { Tx } from '../database/database.ts'

/** Source: Glance's resources in Keystone's unified limits. MiB, MiB, images, images. */
export const QUOTA_NAMES = [
  'image_size_total',
  'image_stage_total',
  'image_count_total',
  'image_count_uploading',
] as const
export type QuotaName = (typeof QUOTA_NAMES)[number]

/** By name; what is missing, or negative, is not limited. */
export type Limits = Partial<Record<QuotaName, number>>

/** What projects may have. Limits come from the configuration or from Keystone; usage is handed in. */
export interface Quotas {
  /** False: nothing is limited, and need not be asked. */
  readonly active: boolean
  /** The limits of a project; a name that is missing is not limited. Asked before the transaction. Fails with KEYSTONE_AWAY. */
  limits(project: string | null): Promise<Limits>
  /**
   * Fails with QUOTA_EXCEEDED when `adds` to what is used now would be more than the limit. `used` in the
   * quota's unit. Inside the transaction, so that it is exact across servers.
   */
  check(limits: Limits, name: QuotaName, used: number, adds: number, tx?: Tx): void
}
