// Where the JavaScript workflows' node is, and how long they wait.
"use strict";

module.exports = {
    node: {
        host: process.env.ROTA_HOST,
        port: process.env.ROTA_PORT,
        user: process.env.ROTA_USER,
        pass: process.env.ROTA_PASSWORD,
    },
    PATIENCE: 60_000, // milliseconds until a transaction counts as never confirmed
    pause: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
};
