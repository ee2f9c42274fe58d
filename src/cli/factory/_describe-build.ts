import { stripVTControlCharacters } from 'node:util'
import { IMAGE_FACTORY_TYPES, type WireBuild, type WireLogEntry } from '../../api/factory-wire.ts'
import { formatTable } from '../_table.ts'

/** A table of builds. */
export function formatBuilds(builds: readonly WireBuild[]): string {
  const rows = builds.map((build) => [
    build.id,
    build.type,
    build.name ?? '',
    build.status,
    `${Math.floor(build.percent)} %`,
    build.target ?? build.builder ?? '',
    build.created_at.slice(0, 19).replace('T', ' '),
  ])
  return formatTable(['id', 'type', 'name', 'status', 'done', 'by', 'created'], rows)
}

/** Everything about one build but its template, a line each. */
export function formatBuild(build: WireBuild): string {
  const { template: _, ...shown } = build
  const rows = Object.entries(shown)
    .filter(([, value]) => value !== null && value !== '' && !isEmptyObject(value))
    .map(([key, value]) => [key, typeof value === 'object' ? JSON.stringify(value) : String(value)])
  return formatTable(['field', 'value'], rows)
}

function isEmptyObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0
}

/** The last words of a build, as Image Factory says them. */
export function formatFinal(build: WireBuild): string {
  const { id, type, image_id: imageId, status, error } = build
  const { member } = IMAGE_FACTORY_TYPES[type]
  const none = status === 'COMPLETE' ? 'none: it stays where it was built' : 'none'
  const place = imageId === null ? none : `image ${imageId}`
  return [
    '============ Final Image Details ============',
    `UUID: ${id}`,
    `Type: ${member}`,
    ...(type === 'provider' ? [] : [`Image filename: ${place}`]),
    ...(build.identifier_on_provider === null
      ? []
      : [`Image ID on provider: ${build.identifier_on_provider}`]),
    status === 'COMPLETE'
      ? 'Image build completed SUCCESSFULLY!'
      : `Image build FAILED with error: ${error ?? status}`,
  ].join('\n')
}

/** An entry of a log, as people read it. What a guest says may not speak to the terminal. */
export function formatEntry({ kind, at, text }: WireLogEntry): string {
  const safe = stripVTControlCharacters(text).replaceAll(/[^\P{Cc}\n\t]/gu, '')
  return kind === 'event' ? `${at.slice(11, 19)}  ${safe}\n` : safe
}
