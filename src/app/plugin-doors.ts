import { registerHooks } from 'node:module'
import { extname } from 'node:path'

/** `ingot/plugin` and the others, as they stand here: source files in a checkout, built ones in a package. */
const ENDING = extname(import.meta.url)
const DOORS: ReadonlyMap<string, string> = new Map(
  [
    ['ingot', '../index'],
    ['ingot/plugin', '../plugin'],
    ['ingot/testing', '../testing/index'],
  ].map(([name = '', path = '']) => [name, new URL(path + ENDING, import.meta.url).href]),
)

/**
 * From now on `ingot/plugin` is this very Ingot for whatever is loaded, wherever it lies: a plugin need not have one
 * installed beside it, and its failures are those that this process knows.
 */
export function openPluginDoors(): void {
  registerHooks({
    resolve: (specifier, context, next) => {
      const url = DOORS.get(specifier)
      return url === undefined ? next(specifier, context) : { url, shortCircuit: true }
    },
  })
}
