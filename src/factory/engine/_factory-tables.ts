/** The tables of the factory, and a row as callers know it. Times are milliseconds since the epoch, structures JSON. */
import type { Json } from '../../tasks/task.ts'
import type { LogEntry, LogKind } from '../build-log.ts'
import type { FactoryImage, FactoryImageType, FactoryStatus, JsonObject } from '../factory-image.ts'

export interface ImageRow {
  id: string
  type: FactoryImageType
  status: FactoryStatus
  activity: string
  error: string | null
  percent: number
  parent_id: string | null
  name: string | null
  template: string | null
  parameters: string
  properties: string
  builder: string | null
  target: string | null
  provider: string | null
  /** Where it is pushed to, if that came with the order; without secrets. */
  definition: string | null
  identifier_on_provider: string | null
  provider_account: string | null
  body_id: string | null
  owner: string | null
  user_id: string | null
  request_id: string
  /** 1: whoever ordered it owns the host; see `ordersByOwner`. */
  by_owner: number
  attempts: number
  created_at: number
  updated_at: number
  started_at: number | null
  ended_at: number | null
  /** The image because of which it failed, without having been begun. */
  failed_by: string | null
  /** Which secrets came with the order: they are forgotten when its work has ended. */
  secret_names: string
  /** Grows with every change of what `FactoryImage` shows. */
  revision: number
  /** The last entry of its log; bytes of it; the last entry of its beginning, which stays; bytes that were dropped. */
  log_end: number
  log_size: number
  log_head: number
  log_lost: number
}

export interface DocumentRow {
  image_id: string
  kind: string
  bytes: Uint8Array
}

export interface LogRow {
  image_id: string
  sequence: number
  at: number
  kind: LogKind
  size: number
  text: string
}

export interface SecretRow {
  image_id: string
  sealed: Uint8Array
}

/** What could not be removed. It outlives the image. */
export interface LeftoverRow {
  image_id: string
  /** `builder/nova`, `target/ec2`. */
  part: string
  things: string
  reason: string
  provider: string | null
  definition: string | null
  created_at: number
}

export interface FactoryTables {
  factory_images: ImageRow
  factory_documents: DocumentRow
  factory_log: LogRow
  factory_secrets: SecretRow
  factory_leftovers: LeftoverRow
}

export function toImage(row: ImageRow): FactoryImage {
  return {
    id: row.id,
    type: row.type,
    status: row.status,
    activity: row.activity,
    error: row.error,
    percent: row.percent,
    parentId: row.parent_id,
    name: row.name,
    template: row.template,
    parameters: JSON.parse(row.parameters) as JsonObject,
    properties: JSON.parse(row.properties) as JsonObject,
    builder: row.builder,
    target: row.target,
    provider: row.provider,
    identifierOnProvider: row.identifier_on_provider,
    providerAccount: row.provider_account,
    bodyId: row.body_id,
    owner: row.owner,
    userId: row.user_id,
    attempts: row.attempts,
    createdAt: new Date(row.created_at),
    updatedAt: new Date(row.updated_at),
    startedAt: toDate(row.started_at),
    endedAt: toDate(row.ended_at),
  }
}

export function toEntry({ sequence, at, kind, text }: Omit<LogRow, 'image_id'>): LogEntry {
  return { sequence, at: new Date(at), kind, text }
}

export function parseThings(json: string): readonly Json[] {
  return JSON.parse(json) as readonly Json[]
}

function toDate(time: number | null): Date | null {
  return time === null ? null : new Date(time)
}
