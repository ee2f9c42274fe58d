import type { RawBuilder } from 'kysely'
import type { Log } from '../base/log.ts'
import type { Database } from '../database/database.ts'
import type { HeldLease } from './_held-lease.ts'
import type { Timers } from './_timers.ts'

/** What a ledger and the leases it gave out stand on. */
export interface LedgerGround {
  readonly database: Database
  readonly log: Log
  readonly timers: Timers
  readonly leaseMs: number
  /** Leases of this process by task, so that they hear at once when it is cancelled. */
  readonly held: Map<string, HeldLease>
  /** A name that no other lease has. */
  newHolder(): string
  /** Times of the database, in milliseconds: now; when a lease that is taken now ends; when a task that ends now is forgotten. */
  time(): RawBuilder<number>
  leaseUntil(): RawBuilder<number>
  expiry(): RawBuilder<number>
}
