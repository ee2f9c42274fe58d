/**
 * What is kept beside a factory image: packages as ICICLE and as a bill of materials (SPDX), and the manifest, which tells
 * all that is known of how it was made, whoever made it.
 */
import type { InstalledPackage } from '../guests/package-manager.ts'
import { leavesOf, type Report } from '../recipes/report.ts'
import type { Facts } from '../remotes/facts.ts'
import type { Json } from '../tasks/task.ts'
import { toSbom } from './bootstrap/sbom.ts'
import type { DocumentKind, JsonObject } from './factory-image.ts'
import { toIcicle } from './icicle.ts'
import type { Template } from './template.ts'

export { parseIcicle, toIcicle, toPackageName } from './icicle.ts'

export interface DocumentParts {
  /** Of the factory image. */
  readonly id: string
  readonly name: string
  /** The raw disk; digests are hexadecimal. */
  readonly disk: {
    readonly virtualSize: number
    /** Bytes of it that are no holes. */
    readonly dataSize: number
    readonly sha256: string
    readonly sha512: string | null
  }
  /** Who made it: `bootstrap`, `nova`, `import`; the kind of cloud of a target image. */
  readonly madeBy: string
  /** The image that it was made of. */
  readonly parentId?: string | null
  /** Undefined when nobody could tell. */
  readonly facts?: Facts | undefined
  readonly packages?: readonly InstalledPackage[] | undefined
  readonly template?: Template | undefined
  /** Without secrets. */
  readonly parameters: JsonObject
  /** What the recipe did. */
  readonly report?: Report | undefined
  readonly phases?: readonly { readonly name: string; readonly durationMs: number }[]
  /** Lines of the template's `icicle/extra_command`, in the order of `packages`. */
  readonly extra?: readonly string[] | undefined
  /** What else there is to tell of how it was made. */
  readonly more?: { readonly [key: string]: Json } | undefined
  readonly time: Date
  /** Of Ingot. */
  readonly version: string
}

/** The documents, as texts. Without packages there is neither ICICLE nor bill of materials. */
export function documentsOf(parts: DocumentParts): Partial<Record<DocumentKind, string>> {
  const { packages, facts, report } = parts
  return {
    ...(packages && {
      icicle: toIcicle(packages, {
        family: facts?.family,
        description: parts.template?.description,
        extra: parts.extra,
      }),
    }),
    ...(packages && facts && { sbom: toText(describeContent(parts, packages, facts)) }),
    ...(report && { report: toText(report) }),
    manifest: toText(describeMaking(parts)),
  }
}

function toText(value: object): string {
  return `${JSON.stringify(value, undefined, 2)}\n`
}

function describeContent(
  { name, disk: { sha256, sha512 }, time, version }: DocumentParts,
  packages: readonly InstalledPackage[],
  facts: Facts,
): object {
  const image = { file: `${name}.raw`, sha256, ...(sha512 !== null && { sha512 }) }
  return toSbom({ name, image, facts, packages, time, version })
}

function describeMaking(parts: DocumentParts): object {
  const { id, name, disk, madeBy, template, parameters, report, packages, phases } = parts
  return {
    manifestVersion: 1,
    image: { id, name, format: 'raw', ...disk },
    madeBy,
    ...(parts.parentId != null && { parent: parts.parentId }),
    ...(template && {
      template: {
        kind: template.kind,
        name: template.name,
        description: template.description,
        digest: `sha256:${template.recipe.digest}`,
        ...(template.os && { os: template.os }),
      },
    }),
    parameters,
    ...(parts.facts && { guest: parts.facts }),
    ...(report && {
      arguments: report.args,
      steps: leavesOf(report.verdicts).map(({ id, title, status }) => ({ id, title, status })),
    }),
    ...parts.more,
    ...(packages && {
      packages: packages.map(({ name, version, architecture, source }) => ({
        name,
        version,
        architecture,
        source: source ?? name,
      })),
    }),
    tools: { ingot: parts.version },
    times: {
      madeAt: parts.time.toISOString(),
      ...(phases && {
        durationMs: phases.reduce((sum, { durationMs }) => sum + durationMs, 0),
        phases,
      }),
    },
  }
}
