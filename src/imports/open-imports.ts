import { Failure } from '../base/failure.ts'
import type { TaskKind } from '../tasks/task.ts'
import { chooseSteps } from './choose-steps.ts'
import type { ImportParts } from './_ground.ts'
import { beginImport } from './_begin-import.ts'
import { IMAGE_IMPORT, OLD_IMPORT } from './_import-job.ts'
import { beginLocation, locationKind } from './_import-location.ts'
import type { Imports } from './imports.ts'
import type { ImportMethod } from './method.ts'
import { planLocations } from './_plan-locations.ts'
import { type ImportGround, runImport } from './_run-import.ts'
import { makeWebRules } from './web-rules.ts'
import { undoImport } from './_undo-import.ts'

export type { ImportConfig, ImportParts } from './_ground.ts'

/** Imports, of the methods and with the steps that the configuration names. Fails with CONFIG_INVALID. */
export function openImports(parts: ImportParts): Imports {
  const { config, ledger, offer } = parts
  const offered = chooseMethods(config.import.methods, parts.methods)
  const chosen = chooseSteps(config.import.steps, parts.steps, config.import)
  const { web, glance_download_properties: copiedProperties } = config.import
  const ground: ImportGround = {
    ...parts,
    offered,
    chosen,
    scene: {
      stores: parts.stores,
      staged: parts.staged,
      web: { ...parts.download, rules: makeWebRules(web), retries: web.retries },
      openKeystone: parts.openKeystone,
      copiedProperties,
    },
  }
  return {
    methods: [...offered.values()].map(({ name, summary }) => ({ name, summary })),
    begin: async (image, request) => await beginImport(ground, image, request),
    cancel: async ({ id }) => {
      await ledger.cancel(id)
      await offer(id)
    },
    addLocation: async (...given) => await beginLocation(parts, ...given),
    planLocations: async (image, changes) => await planLocations(parts, image, changes),
    kinds: [
      ...[IMAGE_IMPORT, OLD_IMPORT].map((type) => importKind(type, ground)),
      locationKind(parts),
    ],
  }
}

function importKind(type: string, ground: ImportGround): TaskKind {
  return {
    type,
    resumes: true,
    run: async (lease) => await runImport(ground, lease),
    undo: async (task, reason, lease) => await undoImport(ground, task, reason, lease),
  }
}

function chooseMethods(
  names: readonly string[],
  methods: readonly ImportMethod[],
): ReadonlyMap<string, ImportMethod> {
  const offered = new Map<string, ImportMethod>()
  for (const name of names) {
    const method = methods.find((one) => one.name === name)
    if (method === undefined)
      throw new Failure(
        'CONFIG_INVALID',
        `import.methods: no method '${name}'; there are ${methods.map((one) => one.name).join(', ')}`,
      )
    offered.set(name, method)
  }
  return offered
}
