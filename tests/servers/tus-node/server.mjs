// The reference tus server on 127.0.0.1, for the tests: node server.mjs PORT FOLDER
import { Server } from "@tus/server";
import { FileStore } from "@tus/file-store";

// Node 20 closes the stream of an answer to a GET a second time when its connection ends right behind it. It
// throws that outside of any request, and the process ends. What starts a centre's service again takes a
// second that no test can foresee, so this one error is written down here and the service lives on.
process.on("uncaughtException", (error) => {
  console.error(error);
  if (error.code !== "ERR_INVALID_STATE") process.exit(1);
});

const [port, directory] = process.argv.slice(2);
const server = new Server({ path: "/files", datastore: new FileStore({ directory }) });
server.listen({ host: "127.0.0.1", port: Number(port) });
