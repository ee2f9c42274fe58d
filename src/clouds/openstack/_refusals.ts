/** What an OpenStack service's refusal means. Source: the services' fault formats; oslo's and Neutron's error bodies. */
import { Failure, type FailureCode } from '../../base/failure.ts'
import { messageIn } from '../refusal-text.ts'
import { isNoRoom } from './no-room.ts'

/** Whether the same question may have another answer later. */
export function isPassing(status: number): boolean {
  return [408, 429, 500, 502, 503, 504].includes(status)
}

export function toRefusal(
  service: string,
  { method, path, status, text }: { method: string; path: string; status: number; text: string },
): Failure {
  const said = messageIn(text)
  const message = `${service} answers ${status} to ${method} ${path}${said === '' ? '' : `: ${said}`}`
  return new Failure(codeOf(status, said), message, {
    details: { status, passing: isPassing(status) },
  })
}

function codeOf(status: number, said: string): FailureCode {
  if ([403, 409, 413].includes(status) && isNoRoom(said)) return 'CLOUD_FULL'
  if (status === 401 || status === 403) return 'CLOUD_DENIED'
  if (status === 404 || status === 410) return 'CLOUD_NOT_FOUND'
  if (status === 413 || status === 507) return 'CLOUD_FULL'
  if (status === 429 || status === 502 || status === 503 || status === 504) return 'CLOUD_AWAY'
  return 'CLOUD_FAILED'
}
