module spandrel.test/gotls

go 1.16
