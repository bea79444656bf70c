/** `build.mjs` compiles a worker to the text of a script. */
declare module "worker:*" {
  const source: string;
  export default source;
}

/** The bundler loads a module when this is called. */
declare function require(path: string): unknown;
