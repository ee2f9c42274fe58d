import type { ServiceConfig } from '../app/service-config.ts'
import { Failure } from '../base/failure.ts'
import {
  type Comparison,
  type ImageFilter,
  type ImageQuery,
  type Sort,
  SORT_KEYS,
  type SortKey,
} from '../images/catalog.ts'
import type { MemberStatus, Visibility } from '../images/image.ts'
import { checkText } from './_body.ts'

/** What a listing asks for; the marker is an id that has to be looked up. */
export type ListRequest = Pick<ImageQuery, 'filter' | 'sort' | 'limit'> & {
  readonly marker: string | undefined
}

type Filter = { -readonly [Key in keyof ImageFilter]: ImageFilter[Key] }

const LIST_KEYS = ['id', 'name', 'status', 'container_format', 'disk_format'] as const
const TIME_KEYS = ['created_at', 'updated_at'] as const
const NUMBER_KEYS = ['size', 'virtual_size', 'min_ram', 'min_disk'] as const
const COMPARISONS: readonly string[] = ['gt', 'gte', 'lt', 'lte', 'eq', 'neq']
const MEMBER_STATUSES: readonly string[] = ['pending', 'accepted', 'rejected', 'all']
const VISIBILITIES: readonly string[] = ['community', 'public', 'private', 'shared', 'all']
const TRUE: readonly string[] = ['1', 't', 'true', 'on', 'y', 'yes']
const FALSE: readonly string[] = ['0', 'f', 'false', 'off', 'n', 'no']
/** Conditions of one listing: every tag of an image, and then some. Databases have limits of their own. */
const MAX_CONDITIONS = 160

/**
 * The query of `GET /v2/images`. Fails with REQUEST_INVALID.
 * Source: filters, operators, sorts and paging of the Image API v2.
 */
export function parseImageQuery(
  params: URLSearchParams,
  { page_size: pageSize, max_page_size: maxPageSize }: ServiceConfig['image'],
): ListRequest {
  const filter: Filter = {}
  const tags: string[] = []
  if (params.size > MAX_CONDITIONS)
    throw invalid(`a listing has at most ${MAX_CONDITIONS} conditions, found ${params.size}`)
  for (const [name, value] of params) {
    checkText(name)
    checkText(value)
    if (name === 'tag') tags.push(value.trim())
    else if (!isPaging(name)) addFilter(filter, name, value)
  }
  if (tags.length > 0) filter.tags = tags
  return {
    filter,
    sort: parseSort(params),
    limit: Math.min(parseLimit(params.get('limit')) ?? pageSize, maxPageSize),
    marker: params.get('marker') ?? undefined,
  }
}

function isPaging(name: string): boolean {
  return ['limit', 'marker', 'sort', 'sort_key', 'sort_dir'].includes(name)
}

function addFilter(filter: Filter, name: string, value: string): void {
  const listed = LIST_KEYS.find((key) => key === name)
  if (listed !== undefined) {
    filter.anyOf = { ...filter.anyOf, [listed]: parseAnyOf(name, value) }
    return
  }
  const timed = TIME_KEYS.find((key) => key === name)
  if (timed !== undefined) {
    filter.times = [...(filter.times ?? []), { key: timed, ...parseTime(name, value) }]
    return
  }
  const bound = /_(min|max)$/.exec(name)?.[1]
  const key = bound === undefined ? name : name.slice(0, -4)
  const numeric = NUMBER_KEYS.find((one) => one === key)
  if (numeric !== undefined) {
    const comparison = bound === undefined ? 'eq' : bound === 'min' ? 'gte' : 'lte'
    const number = { key: numeric, comparison, value: parseNumber(name, value) } as const
    filter.numbers = [...(filter.numbers ?? []), number]
    return
  }
  addEquality(filter, name, value)
}

function addEquality(filter: Filter, name: string, value: string): void {
  switch (name) {
    case 'visibility':
      if (!VISIBILITIES.includes(value)) throw invalid(`visibility is no '${value}'`)
      filter.visibility = value as Visibility | 'all'
      return
    case 'member_status':
      if (!MEMBER_STATUSES.includes(value)) throw invalid(`member_status is no '${value}'`)
      filter.memberStatus = value as MemberStatus | 'all'
      return
    case 'os_hidden':
      filter.hidden = parseBoolean(name, value, TRUE, FALSE)
      return
    case 'protected':
      filter.protected = parseBoolean(name, value, ['true'], ['false'])
      return
    case 'owner':
      filter.owner = value
      return
    case 'checksum':
      filter.checksum = value
      return
    case 'os_hash_algo':
      filter.hashAlgorithm = value
      return
    case 'os_hash_value':
      filter.hashValue = value
      return
    case 'changes-since':
      throw invalid('there is no filter changes-since any more', 'Use updated_at=gte:TIME.')
    default:
      filter.properties = { ...filter.properties, [name]: value }
  }
}

/** `plain`, `eq:plain`, or `in:a,b,"c,d"`. */
function parseAnyOf(name: string, text: string): readonly string[] {
  const colon = text.indexOf(':')
  if (colon === -1) return [text]
  const operator = text.slice(0, colon)
  const rest = text.slice(colon + 1)
  if (operator === 'eq') return [rest]
  if (operator === 'in') return splitQuoted(rest)
  throw invalid(
    `${name} cannot be filtered by the operator '${operator}'`,
    `Operators are eq and in; a value with a colon is ${name}=eq:${text}.`,
  )
}

/** The values between commas; quotes keep commas together. Fails with REQUEST_INVALID. */
export function splitQuoted(text: string): readonly string[] {
  const values: string[] = []
  const item = /"([^"\\]*(?:\\.[^"\\]*)*)"(?=,|$)|([^",]*)(?=,|$)/y
  for (let at = 0; at <= text.length; at = item.lastIndex + 1) {
    item.lastIndex = at
    const match = item.exec(text)
    if (match === null)
      throw invalid(`the quotes in '${text}' are not as they should be: "a,b","c"`)
    const [, quoted, plain] = match
    if (quoted !== undefined) values.push(quoted.replaceAll(/\\(.)/g, '$1'))
    else if (plain !== undefined && plain !== '') values.push(plain)
  }
  return values
}

/** `gt:2026-01-01T00:00:00Z`; without an operator it is equality. */
function parseTime(name: string, text: string): { comparison: Comparison; time: Date } {
  const match = /^([a-z]+):(.*)$/s.exec(text)
  const [operator, iso] = match === null ? ['eq', text] : [match[1] ?? '', match[2] ?? '']
  if (!COMPARISONS.includes(operator))
    throw invalid(`${name} cannot be filtered by the operator '${operator}'`)
  const time = parseIsoTime(iso)
  if (time === undefined)
    throw invalid(`${name} is compared with a time as 2026-07-01T12:00:00Z, found '${iso}'`)
  return { comparison: operator as Comparison, time }
}

/** ISO 8601, as people and clients write it; without a zone it is UTC. */
export function parseIsoTime(text: string): Date | undefined {
  const match =
    /^(\d{4})-?(\d{2})-?(\d{2})(?:[T ](\d{2}):?(\d{2})(?::?(\d{2})(?:[.,](\d{1,9}))?)?\s*(Z|[+-]\d{2}(?::?\d{2})?)?)?$/i.exec(
      text.trim(),
    )
  if (match === null) return undefined
  const [, year, month, day, hour = '00', minute = '00', second = '00', fraction = '', zone] = match
  const offset = zone === undefined || zone.toUpperCase() === 'Z' ? 'Z' : asOffset(zone)
  const ms = fraction.padEnd(3, '0').slice(0, 3)
  const iso = `${year}-${month}-${day}T${hour}:${minute}:${second}.${ms}`
  // A day that no month has is taken for one of the next month
  if (!new Date(`${iso}Z`).toJSON()?.startsWith(`${year}-${month}-${day}`)) return undefined
  const time = new Date(`${iso}${offset}`)
  return Number.isNaN(time.getTime()) ? undefined : time
}

function asOffset(zone: string): string {
  const digits = zone.replace(':', '')
  return `${digits.slice(0, 3)}:${digits.slice(3) || '00'}`
}

function parseNumber(name: string, text: string): number {
  const value = /^\s*[+-]?\d{1,18}\s*$/.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(value)) throw invalid(`${name} is a whole number, found '${text}'`)
  return value
}

function parseBoolean(
  name: string,
  text: string,
  yes: readonly string[],
  no: readonly string[],
): boolean {
  const word = text.trim().toLowerCase()
  if (yes.includes(word)) return true
  if (no.includes(word)) return false
  throw invalid(`${name} is true or false, found '${text}'`)
}

function parseLimit(text: string | null): number | undefined {
  if (text === null) return undefined
  const limit = parseNumber('limit', text)
  if (limit < 0) throw invalid(`limit is not negative, found ${limit}`)
  return limit
}

/** `sort=name:asc,size` or `sort_key` and `sort_dir`, repeated. */
function parseSort(params: URLSearchParams): readonly Sort[] {
  const sort = params.get('sort')
  const keys = params.getAll('sort_key').map((key) => asSortKey(key.trim()))
  const directions = params.getAll('sort_dir').map((direction) => asDirection(direction.trim()))
  if (sort !== null) {
    if (keys.length > 0 || directions.length > 0)
      throw invalid('sort cannot be used together with sort_key and sort_dir')
    const parts = sort.split(',')
    if (parts.length > MAX_CONDITIONS)
      throw invalid(`a listing is sorted by at most ${MAX_CONDITIONS} keys, found ${parts.length}`)
    return parts.map((part) => {
      const [key = '', ...rest] = part.split(':')
      return { key: asSortKey(key.trim()), direction: asDirection(rest.join(':').trim() || 'desc') }
    })
  }
  const sorted = keys.length > 0 ? keys : (['created_at'] as const)
  if (directions.length > 1 && directions.length !== sorted.length)
    throw invalid(`there are ${keys.length} sort_key and ${directions.length} sort_dir`)
  return sorted.map((key, index) => ({
    key,
    direction: directions[index] ?? directions[0] ?? 'desc',
  }))
}

function asSortKey(text: string): SortKey {
  const key = SORT_KEYS.find((one) => one === text)
  if (key === undefined)
    throw invalid(`images cannot be sorted by '${text}'`, `They can by ${SORT_KEYS.join(', ')}.`)
  return key
}

function asDirection(text: string): Sort['direction'] {
  if (text === 'asc' || text === 'desc') return text
  throw invalid(`a sort goes asc or desc, not '${text}'`)
}

function invalid(message: string, fix?: string): Failure {
  return new Failure('REQUEST_INVALID', message, fix === undefined ? {} : { fix })
}
