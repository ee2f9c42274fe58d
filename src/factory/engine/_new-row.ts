import type { ImageRow } from './_factory-tables.ts'

type Needed = 'id' | 'type' | 'status' | 'created_at' | 'request_id'

/** A record that has just begun to be. */
export function newRow(parts: Pick<ImageRow, Needed> & Partial<ImageRow>): ImageRow {
  return {
    activity: '',
    error: null,
    percent: 0,
    parent_id: null,
    name: null,
    template: null,
    parameters: '{}',
    properties: '{}',
    builder: null,
    target: null,
    provider: null,
    definition: null,
    identifier_on_provider: null,
    provider_account: null,
    body_id: null,
    owner: null,
    user_id: null,
    by_owner: 0,
    attempts: 0,
    updated_at: parts.created_at,
    started_at: null,
    ended_at: null,
    failed_by: null,
    secret_names: '[]',
    revision: 1,
    log_end: 0,
    log_size: 0,
    log_head: 0,
    log_lost: 0,
    ...parts,
  }
}
