// amqp091-go in the scenarios of the bench: one job, and its figures on stdout. See languages.ts for the arguments.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// User and system time of this process, microseconds.
func cpu() float64 {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	us := func(t syscall.Timeval) float64 { return float64(t.Sec)*1e6 + float64(t.Usec) }
	return us(usage.Utime) + us(usage.Stime)
}

func number(arg string) int {
	n, err := strconv.Atoi(arg)
	check(err)
	return n
}

func publish(channel *amqp.Channel, queue string, window int, body []byte) func(count int) {
	confirms := channel.NotifyPublish(make(chan amqp.Confirmation, window))
	check(channel.Confirm(false))
	sent := 0
	return func(count int) {
		inFlight := 0
		wait := func() {
			if confirm := <-confirms; !confirm.Ack {
				check(fmt.Errorf("message %d was nacked", confirm.DeliveryTag))
			}
			inFlight--
		}
		for i := 0; i < count; i++ {
			if inFlight == window {
				wait()
			}
			sent++
			check(channel.PublishWithContext(context.Background(), "", queue, true, false, amqp.Publishing{
				DeliveryMode: amqp.Transient,
				MessageId:    fmt.Sprintf("00000000-0000-4000-8000-%012x", sent),
				Body:         body,
			}))
			inFlight++
		}
		for inFlight > 0 {
			wait()
		}
	}
}

func consume(channel *amqp.Channel, queue string, window int, ackEvery int) func(count int) {
	check(channel.Qos(window, 0, false))
	deliveries, err := channel.Consume(queue, "", false, false, false, false, nil)
	check(err)
	seen := 0
	return func(count int) {
		last := seen + count
		for seen < last {
			delivery := <-deliveries
			seen++
			if seen%ackEvery == 0 || seen == last {
				check(delivery.Ack(ackEvery > 1))
			}
		}
	}
}

func main() {
	mode, host, port, user, password, vhost, queue := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5], os.Args[6], os.Args[7]
	count, warmUp, window, bytes, ackEvery := number(os.Args[8]), number(os.Args[9]), number(os.Args[10]), number(os.Args[11]), number(os.Args[12])
	connection, err := amqp.DialConfig("amqp://"+host+":"+port, amqp.Config{
		SASL:  []amqp.Authentication{&amqp.PlainAuth{Username: user, Password: password}},
		Vhost: vhost,
	})
	check(err)
	channel, err := connection.Channel()
	check(err)
	var run func(count int)
	if mode == "publish" {
		run = publish(channel, queue, window, make([]byte, bytes))
	} else {
		run = consume(channel, queue, window, ackEvery)
	}
	run(warmUp)
	began, before := time.Now(), cpu()
	run(count)
	fmt.Printf("{\"messages\":%d,\"ms\":%f,\"cpu\":%f}\n", count, float64(time.Since(began).Microseconds())/1e3, cpu()-before)
}
