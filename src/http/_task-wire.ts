import { withoutPassword } from '../bytes/web-request.ts'
import type { Json, Task } from '../tasks/task.ts'
import { toWireTime } from './_image-view.ts'

/** What of a task's input is shown: what Glance's tasks hold. The rest is ours. */
const SHOWN: ReadonlySet<string> = new Set([
  'image_id',
  'import_req',
  'backend',
  'loc_url',
  'validation_data',
  'import_from',
  'import_from_format',
  'image_properties',
])

/** A task in a listing: `GET /v2/tasks`. */
export function toListedTask(task: Task): Record<string, Json> {
  const { id, type, status, owner, createdAt, updatedAt, expiresAt } = task
  return {
    id,
    type,
    status,
    owner,
    created_at: toWireTime(createdAt),
    updated_at: toWireTime(updatedAt),
    ...(expiresAt && { expires_at: toWireTime(expiresAt) }),
    self: `/v2/tasks/${id}`,
    schema: '/v2/schemas/task',
  }
}

/** A task by itself: `GET /v2/tasks/{id}`. */
export function toWireTask(task: Task): Record<string, Json> {
  return {
    ...toListedTask(task),
    input: shownInput(task.input),
    result: task.result,
    message: task.message,
    image_id: task.subject,
    request_id: task.requestId,
    user_id: task.userId,
  }
}

/** A task of an image: `GET /v2/images/{id}/tasks`. With how far it is in bytes, which is Ingot's own. */
export function toImageTask(task: Task): Record<string, Json> {
  const { self: _, schema: __, ...shown } = toWireTask(task)
  const { expiresAt, done, total } = task
  return {
    ...shown,
    expires_at: expiresAt && toWireTime(expiresAt),
    deleted_at: null,
    deleted: false,
    bytes_done: done,
    bytes_total: total,
  }
}

function shownInput(input: Json): Json {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) return input
  const shown = Object.entries(input).filter(([name]) => SHOWN.has(name))
  return withoutSecrets(Object.fromEntries(shown))
}

/** Addresses are shown without their passwords. */
function withoutSecrets(value: Json): Json {
  if (typeof value === 'string') return value.includes('@') ? withoutPassword(value) : value
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(withoutSecrets)
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, withoutSecrets(one)]))
}
