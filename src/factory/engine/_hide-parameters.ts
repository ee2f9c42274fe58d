/** Parameters as a record shows them. */
import { MASK } from './_mask.ts'
import type { JsonObject } from '../factory-image.ts'

/** Without the values of `secrets`; addresses of callbacks lose their user and password only. */
export function hideParameters(parameters: JsonObject, secrets: readonly string[]): JsonObject {
  const shown = Object.entries(parameters).map(([name, value]) => {
    if (!secrets.includes(name)) return [name, value] as const
    if (name !== 'callbacks') return [name, MASK] as const
    return [name, addressesOf(value).map(hideUser)] as const
  })
  return Object.fromEntries(shown)
}

/** The addresses of a parameter `callbacks`: a list, or a single one. */
export function addressesOf(value: unknown): string[] {
  const all: unknown[] = Array.isArray(value) ? value : [value]
  return all.filter((one): one is string => typeof one === 'string' && one !== '')
}

/** An address without who asks. */
export function hideUser(address: string): string {
  if (!URL.canParse(address)) return address
  const url = new URL(address)
  if (url.username === '' && url.password === '') return address
  url.username = MASK
  url.password = ''
  return url.href
}

/** Whether it is shown without who asks. */
export function isHidden(address: string): boolean {
  return URL.canParse(address) && new URL(address).username === MASK
}
