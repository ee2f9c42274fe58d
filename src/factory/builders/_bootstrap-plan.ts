import { isFailure } from '../../base/failure.ts'
import { parseSize } from '../../base/units.ts'
import { resolveArguments } from '../../recipes/argument-values.ts'
import type { BaseKey } from '../../recipes/base-schema.ts'
import type { Recipe } from '../../recipes/recipe.ts'
import { releaseOf } from '../_os-of-base.ts'
import type { Template } from '../template.ts'
import type { BootstrapOptions } from './_bootstrap-options.ts'

export interface BootstrapPlan {
  /** With a `base`, whatever the template was. */
  readonly recipe: Recipe
  /** Bytes of the disk; undefined: what the recipe says. */
  readonly size: number | undefined
  readonly values: ReadonlyMap<string, string>
}

/** Why nothing can be bootstrapped by this template; undefined: it can. */
export function whyNotBootstrap(template: Template, options: BootstrapOptions): string | undefined {
  const { kind, os, recipe } = template
  if (kind === 'recipe' && recipe.base === undefined)
    return 'the recipe has no `base`, which says what is bootstrapped'
  if (kind === 'tdl') {
    if (os === undefined || releaseOf(os) === undefined)
      return `it builds Debian and Ubuntu, and not ${os?.name ?? 'nothing'} ${os?.version ?? ''}`.trim()
    if (os.arch !== 'x86_64') return `it builds for x86_64, and not for ${os.arch}`
  }
  try {
    resolveArguments(recipe.args, valuesOf(options))
    return undefined
  } catch (error) {
    if (isFailure(error, 'ARGUMENT_INVALID')) return error.message
    throw error
  }
}

/** What is built. Options stand above the template. The template is not one that is refused. */
export function toBootstrapPlan(template: Template, options: BootstrapOptions): BootstrapPlan {
  const { recipe, install } = template
  const { size, mirror, security_mirror, variant, cloud_init, file_system } = options
  const base: BaseKey = {
    ...(recipe.base ?? baseOf(template)),
    ...(mirror !== undefined && { mirror }),
    ...(security_mirror !== undefined && { security_mirror }),
    ...(variant !== undefined && { variant }),
    ...(cloud_init !== undefined && { cloud_init }),
  }
  const disk = { ...recipe.disk, ...(file_system !== undefined && { file_system }) }
  return {
    recipe: { ...recipe, base, disk },
    size: size === undefined ? install?.diskSize : parseSize(size),
    values: valuesOf(options),
  }
}

/** What a TDL says of its system, as a recipe would. */
function baseOf({ os, install }: Template): BaseKey {
  const found = os && releaseOf(os)
  if (found === undefined) throw new Error('a template that is refused is being built')
  const mirror = install?.source.type === 'url' ? mirrorOf(install.source.url) : undefined
  return { ...found, ...(mirror !== undefined && { mirror }) }
}

/**
 * The mirror in the address of an install tree, which TDLs name down to a release or its installer:
 * `https://mirror.example/debian/dists/bookworm/`. Undefined for names that nobody has.
 * Source: RFC 2606, `.invalid`.
 */
function mirrorOf(url: string): string | undefined {
  const { protocol, hostname } = new URL(url)
  if (!/^(https?|file):$/.test(protocol) || hostname.endsWith('.invalid')) return undefined
  return url.replace(/\/dists\/.*$/s, '').replace(/(?<=[^/])\/+$/, '')
}

function valuesOf({ args = {} }: BootstrapOptions): ReadonlyMap<string, string> {
  return new Map(Object.entries(args))
}
