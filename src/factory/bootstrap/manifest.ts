import type { CleanReport } from '../../guests/clean.ts'
import type { InstalledPackage } from '../../guests/package-manager.ts'
import type { Recipe } from '../../recipes/recipe.ts'
import { leavesOf, type Report } from '../../recipes/report.ts'
import type { BuildPlan } from './build-plan.ts'
import type { BuiltOs } from './tree-builder.ts'
import type { TreeCount } from './tree.ts'

/** What is told of a finished image. Times of its making are in `times` only; all else repeats. */
export interface ImageFacts {
  /** Name without directory. */
  file: string
  format: 'raw' | 'qcow2'
  /** Bytes of the file; bytes of the disk that a guest sees. */
  size: number
  virtualSize: number
  sha256: string
  sha512: string
  /** False for file systems whose tools do not let us. */
  reproducible: boolean
}

export interface ManifestParts {
  recipe: Recipe
  plan: BuildPlan
  image: ImageFacts
  os: BuiltOs
  report: Report
  clean: CleanReport | undefined
  content: TreeCount
  packages: readonly InstalledPackage[]
  /** Version of each program that had a hand in it, by name. */
  tools: Readonly<Record<string, string>>
  startedAt: Date
  phases: readonly { name: string; durationMs: number }[]
}

/** The record of a build, for people and programs: written beside the image as JSON. */
export function toManifest(parts: ManifestParts): object {
  const { recipe, plan, image, os, report, packages } = parts
  return {
    manifestVersion: 1,
    image,
    recipe: {
      name: recipe.name,
      description: recipe.description,
      digest: `sha256:${recipe.digest}`,
      arguments: report.args,
    },
    // Of recipe, base, disk and values of arguments: all that the image was made from but packages.
    plan: `sha256:${plan.digest}`,
    base: plan.base,
    disk: { size: plan.diskSize, fileSystem: plan.fileSystem, boot: plan.boot, ...plan.identity },
    sources: os.sources,
    sourceDate: os.time.toISOString(),
    guest: report.facts,
    steps: leavesOf(report.verdicts).map(({ id, title, status }) => ({ id, title, status })),
    cleaned: (parts.clean?.tasks ?? []).flatMap(({ name, paths }) =>
      paths.length > 0 ? [{ task: name, paths: paths.length }] : [],
    ),
    content: parts.content,
    packages: packages.map(({ name, version, architecture, source }) => ({
      name,
      version,
      architecture,
      source: source ?? name,
    })),
    tools: parts.tools,
    times: {
      startedAt: parts.startedAt.toISOString(),
      durationMs: parts.phases.reduce((sum, { durationMs }) => sum + durationMs, 0),
      phases: parts.phases,
    },
  }
}
